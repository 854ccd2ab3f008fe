"""Generates XML documents: right, odd and broken ones."""

from hypothesis import strategies as st

# Names that mean something to the API, and some that do not.
NAMES = st.sampled_from(
    [
        'aggregate',
        'name',
        'availability_zone',
        'set_metadata',
        'metadata',
        'meta',
        'add_host',
        'remove_host',
        'check_host',
        'host',
        'for',
        'force',
        'accept_data_loss',
        'sr',
        'set_master',
        'membership',
        'enter_maintenance',
        'leave_maintenance',
        'power_host',
        'rolling_reboot',
        'rolling_update',
        'continue_operation',
        'hosts',
        'pause',
        'suspend_ha',
        'only_if_needed',
        'replace',
        'sync',
        'dry_run',
        'action',
        'stay_on_failure',
        'shut_down',
        'guest',
        'hard',
        'restore',
        'reason',
        'adopt',
        'reapply',
        'reset',
        'outcome',
        'cancel_operation',
        'operation',
        'key',
        'xmlns',
        'x',
        'é',
        '_',
    ]
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            '',
            ' ',
            'xen1',
            'xen2',
            'nobody',
            'true',
            'false',
            'add',
            'member',
            'free',
            '0',
            '\u2028',
            '\U0001f600',
            'x' * 300,
            '&lt;&amp;&gt;&quot;&apos;',
            '&#x9;&#10;',
            '&#xD800;',
            '&#0;',
            '&nope;',
            '&',
            '<',
            ']]>',
        ]
    ),
    st.text(max_size=20),
)
BESIDE = st.one_of(
    st.sampled_from(
        [
            '<!-- c -->',
            '<!-- -- -->',
            '<!--',
            '<?pi x?>',
            '<?xml version="1.0"?>',
            '<?',
            '<![CDATA[xen1]]>',
            '<![CDATA[<a>&amp;]]>',
            '<![CDATA[',
            '<!DOCTYPE a>',
            '<!DOCTYPE a [<!ENTITY e "v">]>',
            '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
            '<!ENTITY e SYSTEM "http://127.0.0.1:1/">',
            '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" '
            'href="file:///etc/passwd" parse="text"/>',
            '</x>',
            '\x00',
            '\ufeff',
        ]
    ),
    TEXTS,
)
_NAMESPACES = st.sampled_from(
    ['', '', '', ' xmlns="urn:x"', ' xmlns:p="urn:p"', ' xmlns:p=""']
)
_PREFIXES = st.sampled_from(['', '', '', '', 'p:', 'q:', 'xml:', ':'])
_QUOTES = st.sampled_from(['"', "'", ''])


@st.composite
def _attributes(draw: st.DrawFn) -> str:
    found = draw(st.lists(st.tuples(NAMES, TEXTS, _QUOTES), max_size=3))
    return draw(_NAMESPACES) + ''.join(
        f' {name}={quote}{text}{quote}' for name, text, quote in found
    )


@st.composite
def _leaf(draw: st.DrawFn) -> str:
    name = draw(_PREFIXES) + draw(NAMES)
    attributes = draw(_attributes())
    if draw(st.booleans()):
        return f'<{name}{attributes}/>'
    return f'<{name}{attributes}>{draw(TEXTS)}</{name}>'


def _around(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    @st.composite
    def element(draw: st.DrawFn) -> str:
        name = draw(_PREFIXES) + draw(NAMES)
        inside = draw(st.lists(st.one_of(children, BESIDE), max_size=5))
        end = name if draw(st.integers(0, 19)) else draw(NAMES)
        return f'<{name}{draw(_attributes())}>{"".join(inside)}</{end}>'

    return element()


TREES = st.recursive(_leaf(), _around, max_leaves=12)


# Requests that may be right, with odd values and things beside them.
FORMS = st.sampled_from(
    [
        '<aggregate name="{}"/>',
        '<aggregate name="{}"><availability_zone>{}</availability_zone>{}'
        '</aggregate>',
        '<set_metadata><metadata><k>{}</k><meta key="{}">{}</meta>'
        '</metadata></set_metadata>',
        '<add_host host="{}"/>',
        '<p:add_host xmlns:p="u"><host>{}</host>{}</p:add_host>',
        '<remove_host host="{}" force="{}"/>',
        '<remove_host host="{}"><accept_data_loss>{}<sr>{}</sr>'
        '</accept_data_loss></remove_host>',
        '<membership dry_run="{}"><hosts><host>{}</host><host>{}</host>'
        '</hosts></membership>',
        '<check_host host="{}" for="{}"/>',
        '<set_master host="{}"/>',
        '<rolling_reboot pause="{}" dry_run="{}" suspend_ha="{}"><hosts>'
        '<host>{}</host>{}</hosts></rolling_reboot>',
        '<reset host="{}" outcome="{}"/>',
        '<cancel_operation operation="{}"/>',
        '<adopt>{}</adopt>',
        '<reapply>{}</reapply>',
    ]
)


@st.composite
def _request(draw: st.DrawFn) -> str:
    form = draw(FORMS)
    texts = st.one_of(st.sampled_from(['xen1', 'nobody']), TEXTS)
    return form.format(*(draw(texts) for _ in range(form.count('{}'))))


@st.composite
def _deep(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    depth = draw(st.sampled_from([31, 32, 33, 256, 257, 5000]))
    end = f'</{name}>' * draw(st.sampled_from([depth, 0, depth - 1]))
    return f'<{name}>' * depth + end


@st.composite
def _huge(draw: st.DrawFn) -> str:
    piece = draw(
        st.sampled_from(
            ['<host>a</host>', '<host/>', ' ', 'x', '&#65;', '<!--c-->']
        )
    )
    count = draw(st.sampled_from([100, 5000, 20_000]))
    name = draw(NAMES)
    return f'<{name}>{piece * count}</{name}>'


@st.composite
def _encoded(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """A document in some encoding, which it may not tell or tell wrongly."""
    encodings = ['utf-8', 'utf-8', 'utf-8-sig', 'utf-16', 'utf-32', 'latin-1']
    told = [*encodings, 'ascii', 'UTF-7', 'ebcdic-cp-us', 'nope', '']
    text = draw(texts)
    before = draw(
        st.one_of(
            st.just(''),
            st.sampled_from(told).map(
                lambda e: f'<?xml version="1.0" encoding="{e}"?>'
            ),
            BESIDE,
        )
    )
    after = draw(st.one_of(st.just(''), BESIDE, texts))
    encoding = draw(st.sampled_from(encodings))
    data = (before + text + after).encode(encoding, 'replace')
    if draw(st.integers(0, 9)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    return data


DOCUMENTS: st.SearchStrategy[bytes] = st.one_of(
    _encoded(TREES),
    _encoded(TREES),
    _request().map(lambda text: text.encode()),
    _encoded(_request()),
    _encoded(_deep()),
    _encoded(_huge()),
    st.binary(max_size=200),
)
