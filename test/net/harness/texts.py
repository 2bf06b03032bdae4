# SPDX-License-Identifier: GPL-2.0-or-later
# The SIP that phones, providers and PBXs of the tests speak, as SIPp text ([branch], [len], ... are SIPp's keywords).
from .router import PHONE, PROXY
from .sipp import expect, expect_with_contact, go, send


VIDEO = "m=video {} RTP/AVP 31"


def sdp(address, port, owner="alice", version=1, more=(), session=1):
    family = "IP6" if ":" in address else "IP4"
    lines = ["v=0", f"o={owner} {session} {version} IN {family} {address}", "s=a call", f"c=IN {family} {address}", "t=0 0",
             f"m=audio {port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", *more]
    return "\n".join(lines) + "\n"


def request(method, uri, via, sender, to, cseq, more=(), body="", call_id="[call_id]", branch="[branch]"):
    """One request. via: the sent-by and parameters of the top Via."""
    lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {via};branch={branch}", "Max-Forwards: 70",
             f"From: {sender}", f"To: {to}", f"Call-ID: {call_id}", f"CSeq: {cseq} {method}", *more]
    lines += ["Content-Type: application/sdp"] if body else []
    lines += ["Content-Length: [len]", "", body]
    return "\n".join(lines)


def response(status, more=(), body="", tag="b1"):
    """A response that copies what RFC 3261 section 8.2.6 wants copied."""
    to = "[last_To:]" + (f";tag={tag}" if tag else "")
    lines = [f"SIP/2.0 {status}", "[last_Via:]", "[last_Record-Route:]", "[last_From:]", to, "[last_Call-ID:]", "[last_CSeq:]"]
    lines += more
    lines += ["Content-Type: application/sdp"] if body else []
    lines += ["Content-Length: [len]", "", body]
    return "\n".join(lines)


def bracket(address):
    """As a URI wants it; SIPp would take the bracket for a keyword's."""
    return f"\\x5B{address}]" if ":" in address else address


class Caller:
    """A user agent that calls, as SIPp steps. Texts carry `address`, whatever its packets' source is."""

    def __init__(self, address=PHONE, port=5060, media=4000, to=PROXY, user="alice", more=(), sdp_more=(), media_address=None):
        self.address, self.host, self.port, self.to = address, bracket(address), port, bracket(to)
        self.sender = f"<sip:{user}@{self.host}>;tag=a1"
        self.contact = f"Contact: <sip:{user}@{self.host}:{port}>"
        self.via = f"{self.host}:{port}"
        self.more = list(more)
        self.body = sdp(media_address or address, media, user, more=sdp_more)

    def invite(self, uri=None, cseq=1, body=None, to=None):
        uri = uri or f"sip:bob@{self.to}"
        return request("INVITE", uri, self.via, self.sender, to or f"<sip:bob@{self.to}>", cseq, [self.contact, *self.more],
                       self.body if body is None else body)

    def in_dialog(self, method, cseq, body="", more=(), tag="b1"):
        return request(method, "[next_url]", self.via, self.sender, f"<sip:bob@{self.to}>;tag={tag}", cseq,
                       ["[routes]", *([self.contact] if method == "INVITE" else []), *more], body)

    def call(self, between=(), proxied=False):
        """INVITE ... ACK, the steps `between`, then go() and BYE. proxied: all requests go to the next hop's address."""
        answered = expect(200) if proxied else expect_with_contact(200, ipv6=self.host != self.address)
        return [send(self.invite()), expect(100, optional=True), expect(180, optional=True), answered,
                send(self.in_dialog("ACK", 1), retrans=False), *between,
                go(), send(self.in_dialog("BYE", 99)), expect(200)]

    def call_ended_by_peer(self):
        return [send(self.invite()), expect(100, optional=True), expect(180, optional=True), expect_with_contact(200),
                send(self.in_dialog("ACK", 1), retrans=False),
                expect("BYE"), send(response("200 OK", tag=""), retrans=False)]


def remember(names):
    return "".join(f'<ereg regexp=".*" search_in="hdr" header="{header}:" check_it="true" assign_to="{name}"/>'
                   for header, name in names.items())


# Of an INVITE, for requests of the one that is called, and for its answers when other messages came in between
REMEMBER = remember({"From": "caller", "To": "callee"})
REMEMBER_ALL = remember({"From": "caller", "To": "callee", "Via": "via", "CSeq": "cseq"})


def callee_asks(method, cseq, via=PROXY + ":5060", more=(), body="", tag="b1"):
    """A request of the one that was called, after REMEMBER."""
    return request(method, "[next_url]", via, f"[$callee];tag={tag}", "[$caller]", cseq, ["[routes]", *more], body)


def to_invite(status, more=(), body="", tag="b1"):
    """A response to the INVITE of REMEMBER_ALL."""
    lines = [f"SIP/2.0 {status}", "Via:[$via]", "From:[$caller]", f"To:[$callee];tag={tag}", "Call-ID: [call_id]",
             "CSeq:[$cseq]", *more, *(["Content-Type: application/sdp"] if body else []), "Content-Length: [len]", "", body]
    return "\n".join(lines)


class Callee:
    """A user agent that is called."""

    def __init__(self, address=PROXY, media=6000, media_address=None, contact=None, user="bob", more=(), sdp_more=()):
        self.contact = f"Contact: <sip:{user}@{contact or bracket(address) + ':5060'}>"
        self.body = sdp(media_address or address, media, user, more=sdp_more)
        self.more = list(more)

    def ringing(self):
        return send(response("180 Ringing", [self.contact]), retrans=False)

    def ok(self, body=None):
        return send(response("200 OK", [self.contact, *self.more], self.body if body is None else body))

    def answer(self):
        return [expect("INVITE"), self.ringing(), self.ok()]

    def hung_up(self):
        return [expect("BYE"), send(response("200 OK", tag=""), retrans=False)]

    def call(self):
        return [*self.answer(), expect("ACK"), *self.hung_up()]


def register(address=PHONE, port=5060, user="alice", registrar=PROXY, expires=3600, via=None, contact=None, more=()):
    host = bracket(address)
    registrar = bracket(registrar)
    return [send(request("REGISTER", f"sip:{registrar}", via or f"{host}:{port}", f"<sip:{user}@{registrar}>;tag=r1",
                         f"<sip:{user}@{registrar}>", 1,
                         [contact or f"Contact: <sip:{user}@{host}:{port}>", f"Expires: {expires}", *more])),
            expect(200)]


def registrar(expires=3600, more=()):
    return [expect("REGISTER"),
            send(response("200 OK", [f"[last_Contact:];expires={expires}", *more], tag="reg"), retrans=False)]


def provider_on_two_ports(bench, media_address=None, more=(), **options):
    """A provider whose proxy answers on 5060 and whose Contact, and so where ACK and BYE go, is port 5080."""
    callee = Callee(contact=PROXY + ":5080", media_address=media_address, more=more)
    return bench.provider(callee.answer(), **options), bench.provider([expect("ACK"), *callee.hung_up()], port=5080, **options)
