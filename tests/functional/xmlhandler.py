"""``response_xml_paths`` for gabbi: XPath expressions and their values."""

from typing import Any

from gabbi.handlers import base
from lxml import etree


class XMLHandler(base.ContentHandler):
    """Compares XPath results, with text where the YAML has other scalars."""

    test_key_suffix = 'xml_paths'
    test_key_value: dict[str, Any] = {}

    @staticmethod
    def accepts(content_type: str) -> bool:
        return content_type.split(';')[0].strip().endswith('xml')

    @staticmethod
    def dumps(data: Any, pretty: bool = False, test: Any = None) -> str:
        return str(data)

    @staticmethod
    def loads(data: str) -> Any:
        return etree.fromstring(data.encode())

    def action(self, test: Any, path: str, value: Any = None) -> None:
        found = test.response_data.xpath(test.replace_template(path))
        expected = test.replace_template(value)
        if isinstance(expected, int) and isinstance(found, str):
            expected = str(expected)
        assert found == expected, f'{path} is {found!r}, not {expected!r}'
