"""XML-RPC and JSON-RPC: requests to calls, values to answers (xapi#wire)."""

import dataclasses
import datetime
import json
import re
import typing
import xml.parsers.expat
import xmlrpc.client
from xml.sax import saxutils

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

MAX_DEPTH = 64
DATE = '%Y%m%dT%H:%M:%SZ'
NOT_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')

PLAIN = re.compile(r'[\w .,:;/+-]*', re.ASCII)
"""Most text of the API: nothing in it to escape."""


class Number(int):
    """A number which is one on the wire too: in event.from alone."""


class Bare(list[str]):
    """A list which is the whole answer: of system.listMethods alone."""


class Malformed(Exception):
    """A request body which is not a call."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A call as it came over the wire."""

    method: str
    parameters: list[database.Value]
    identity: object = None
    version: str = ''


def read_xml(body: bytes) -> Request:
    """Parse an XML-RPC call; document types and entities are refused."""
    target = xmlrpc.client.Unmarshaller(use_builtin_types=True)
    target.xml('', None)
    parser = xml.parsers.expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH * 4:
            raise Malformed('nested too deeply')
        target.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        target.end(tag)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
        parameters, method = list(target.close()), target.getmethodname()
    except (
        xml.parsers.expat.ExpatError,
        xmlrpc.client.Error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as exc:
        raise Malformed(str(exc)) from exc
    if not isinstance(method, str):
        raise Malformed('no method name')
    return Request(method, parameters)


def _refuse(*_declaration: object) -> typing.NoReturn:
    raise Malformed('document types and entities are not taken')


def read_json(body: bytes) -> Request:
    """Parse a JSON-RPC call, version 1.0 or 2.0."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Malformed('not JSON') from exc
    if not isinstance(data, dict):
        raise Malformed('not an object')
    method, parameters = data.get('method'), data.get('params', [])
    if not isinstance(method, str) or not isinstance(parameters, list):
        raise Malformed('no method or no list of parameters')
    version = '2.0' if data.get('jsonrpc') == '2.0' else '1.0'
    return Request(method, parameters, data.get('id'), version)


def xml_success(value: database.Value) -> bytes:
    """The XML-RPC answer of a call which succeeded."""
    if isinstance(value, Bare):
        return _xml_answer(value)
    return _xml_answer({'Status': 'Success', 'Value': value})


def xml_failure(error: failure.Failure) -> bytes:
    """The XML-RPC answer of a call which failed."""
    return _xml_answer(
        {'Status': 'Failure', 'ErrorDescription': error.description}
    )


def _xml_answer(answer: database.Value) -> bytes:
    text = (
        '<?xml version="1.0"?><methodResponse><params><param>'
        f'{xml_value(answer)}</param></params></methodResponse>'
    )
    return text.encode()


def xml_value(value: database.Value) -> str:
    """A value in XML-RPC: numbers are strings, text has no type tag."""
    return f'<value>{_xml_content(value)}</value>'


def _xml_content(value: database.Value) -> str:
    if isinstance(value, bool):
        return f'<boolean>{int(value)}</boolean>'
    if isinstance(value, Number):
        return f'<i4>{int(value)}</i4>'
    if isinstance(value, float):
        return f'<double>{value}</double>'
    if isinstance(value, datetime.datetime):
        text = value.strftime(DATE)
        return f'<dateTime.iso8601>{text}</dateTime.iso8601>'
    if isinstance(value, dict):
        members = [
            f'<member><name>{_text(key)}</name>{xml_value(item)}</member>'
            for key, item in value.items()
        ]
        return f'<struct>{"".join(members)}</struct>'
    if isinstance(value, list):
        items = ''.join([xml_value(item) for item in value])
        return f'<array><data>{items}</data></array>'
    return _text(str(value))


def _text(text: str) -> str:
    if PLAIN.fullmatch(text):
        return text
    escaped = saxutils.escape(NOT_XML.sub('\ufffd', text))
    return escaped.replace('\r', '&#13;')


def json_success(request: Request, value: database.Value) -> bytes:
    """The JSON-RPC answer of a call which succeeded."""
    return _json_answer(request, {'result': value}, {'error': None})


def json_failure(request: Request, error: failure.Failure) -> bytes:
    """The JSON-RPC answer of a call which failed (xapi#wire)."""
    if request.version == '1.0':
        return _json_answer(
            request, {'error': error.description}, {'result': None}
        )
    told = {
        'code': 1,
        'message': error.code,
        'data': list(error.parameters),
    }
    return _json_answer(request, {'error': told}, {})


def _json_answer(
    request: Request, told: dict[str, object], only_old: dict[str, object]
) -> bytes:
    if request.version == '2.0':
        answer: dict[str, object] = {'jsonrpc': '2.0'} | told
    else:
        answer = told | only_old
    answer['id'] = request.identity
    return json.dumps(answer, default=_json_date).encode()


def _json_date(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.strftime(DATE)
    raise TypeError(f'no value of the API: {value!r}')
