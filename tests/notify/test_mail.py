"""Notices as mail: what arrives at a real SMTP server, over which connection, and what is made of its refusals."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mail_server import PASSWORD, USER, MailServer, Received, mail_server, write_certificate
from restpoint._core.mail_addresses import check_address
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.notify import routes_file
from restpoint.notify.mail import MailChannel, MailSettings
from restpoint.notify.mail_messages import Sender, mail_of
from restpoint.notify.notices import DeliveryFailed, Notice, Recipient
from restpoint.notify.routes_file import ChannelContext, Routes
from restpoint.notify.wording import Worded, one_line
from restpoint.prompts import HumanPromptRadio, HumanPromptText, MultipleChoiceOption
from support import PATIENCE

SECRET = "canary-5b1c"
NOTICE = Notice(
    id="01990000-0000-7000-8000-00000000000a",
    event=EventKind.INTERACTION_ASKED,
    sequence=7,
    time=1_800_000_000_000,
    route="ask",
    attempt=1,
    execution_id="01990000-0000-7000-8000-0000000000e1",
    workflow="refund",
    owner="ada",
    status="interaction_required",
    interaction_id="01990000-0000-7000-8000-0000000000f1",
    prompt=HumanPromptText(text="May *Grace* have her money back?"),
    assignees=("anna", "group:finance"),
    deadline_at=1_800_086_400_000,
    link="https://approvals.example/view/1/prompt/2",
    recipient=Recipient(name="anna", address="anna@example.com"),
)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MailServer]:
    """A server of this machine, without TLS."""
    async with asyncio.timeout(PATIENCE), mail_server() as running:
        yield running


def settings_of(port: int, **more: Any) -> MailSettings:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "approvals@example.com", **more}
    return MailSettings.model_validate(given)


def context_of(environ: dict[str, str] | None = None, **more: Any) -> ChannelContext:
    return ChannelContext(name="post", environ=environ or {}, folder=Path(), **more)


def channel_to(server: MailServer, environ: dict[str, str] | None = None, **more: Any) -> MailChannel:
    return settings_of(server.port, **more).channel(context_of(environ))


def worded(port: int, template: Path) -> MailChannel:
    """A channel whose route ``ask`` has a template of its own."""
    return settings_of(port).channel(context_of(templates={"ask": template}))


async def sent(server: MailServer, *notices: Notice, **more: Any) -> list[Received]:
    channel = channel_to(server, **more)
    try:
        for each in notices:
            await channel.send(each)
    finally:
        await channel.close()
    return server.mails


async def refusal_of(
    server: MailServer, notice: Notice = NOTICE, environ: dict[str, str] | None = None, **more: Any
) -> DeliveryFailed:
    channel = channel_to(server, environ, **more)
    with pytest.raises(DeliveryFailed) as refused:
        await channel.send(notice)
    await channel.close()
    return refused.value


# --- What it says ----------------------------------------------------------------------------------------------------


async def test_a_mail_says_who_asks_what_of_whom_until_when_and_where(server: MailServer) -> None:
    (mail,) = await sent(server, NOTICE, sender_name="Approvals")
    message = mail.message
    assert (mail.sender, mail.recipient) == ("approvals@example.com", "anna@example.com")
    assert message["From"] == "Approvals <approvals@example.com>"
    assert message["To"] == "anna <anna@example.com>"
    assert message["Subject"] == "A question for you: refund (01990000-0000-7000-8000-0000000000e1)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] is None
    for part in (mail.text, mail.html):
        assert "refund" in part
        assert "16 Jan 2027, 08:00 UTC" in part
        assert "https://approvals.example/view/1/prompt/2" in part
        assert "anna and the group finance" in part
        assert "ada" in part
    assert "> May *Grace* have her money back?" in mail.text
    assert "May <em>Grace</em> have her money back?" in mail.html


async def test_the_time_of_a_reminder_is_not_given_as_that_of_the_question(server: MailServer) -> None:
    (mail,) = await sent(server, replace(NOTICE, event=EventKind.INTERACTION_REMINDED))
    assert "Asked:      anna and the group finance\nWhen:       15 Jan 2027, 08:00 UTC\n" in mail.text.replace("\r", "")


@pytest.mark.parametrize(("voted", "how"), [(0, "nobody has"), (1, "1 has"), (2, "2 have")])
async def test_a_mail_says_how_many_votes_are_needed_and_how_many_there_are(
    server: MailServer, voted: int, how: str
) -> None:
    (mail,) = await sent(server, replace(NOTICE, votes=3, voted=voted))
    assert f"Votes:      3 equal votes answer it; {how} voted so far\n" in mail.text.replace("\r", "")
    assert f"3 equal votes answer it; {how} voted so far." in mail.html


async def test_a_mail_speaks_of_no_detail_of_its_event(server: MailServer) -> None:
    retried = replace(NOTICE, event=EventKind.EXECUTION_RETRIED, prompt=None, interaction_id=None)
    (mail,) = await sent(server, retried)
    assert "A failed execution was taken up again at the call that failed.\n" in mail.text.replace("\r", "")
    assert "detail" not in mail.text + mail.html


async def test_every_attempt_has_the_same_message_id_and_an_execution_is_one_thread(server: MailServer) -> None:
    later = replace(NOTICE, id="another", event=EventKind.EXECUTION_COMPLETED, prompt=None, interaction_id=None)
    elsewhere = replace(NOTICE, id="third", execution_id="another")
    mails = await sent(server, NOTICE, replace(NOTICE, attempt=2), later, elsewhere)
    ids = [mail.message["Message-ID"] for mail in mails]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    threads = [mail.message["References"] for mail in mails]
    assert threads == [mail.message["In-Reply-To"] for mail in mails]
    assert threads[0] == threads[1] == threads[2] != threads[3]
    assert not set(threads) & set(ids)


async def test_the_subject_and_the_headers_hold_nothing_of_the_question(server: MailServer) -> None:
    prompt = HumanPromptText(text=f"Is {SECRET} right?")
    notice = replace(NOTICE, prompt=prompt, detail={"response": {"text": SECRET}, "error": SECRET})
    (mail,) = await sent(server, notice)
    assert SECRET in mail.text
    assert SECRET not in str(mail.message.items())
    for event in (EventKind.INTERACTION_ANSWERED, EventKind.EXECUTION_FAILED, EventKind.EXECUTION_COMPLETED):
        told = await sent(server, replace(notice, event=event))
        assert SECRET not in told[-1].raw.decode()


async def test_a_question_that_somebody_has_claimed_is_told_and_not_asked(server: MailServer) -> None:
    (mail,) = await sent(server, replace(NOTICE, event=EventKind.INTERACTION_CLAIMED, actor="ben"))
    assert "By: ben" in mail.text
    assert "asks you" not in mail.text
    assert "Grace" not in mail.text


async def test_a_reminder_and_an_escalation_ask_again(server: MailServer) -> None:
    reminded, escalated = await sent(
        server,
        replace(NOTICE, event=EventKind.INTERACTION_REMINDED),
        replace(NOTICE, id="second", event=EventKind.INTERACTION_ESCALATED),
    )
    assert reminded.message["Subject"].strip().startswith("A question still waits for you: refund")
    assert escalated.message["Subject"].strip().startswith("A question is yours now: refund")
    assert all("> May *Grace* have her money back?" in mail.text for mail in (reminded, escalated))


async def test_a_channel_can_leave_the_question_out(server: MailServer) -> None:
    notice = replace(NOTICE, prompt=HumanPromptText(text=f"Is {SECRET} right?"))
    (mail,) = await sent(server, notice, show_question=False)
    assert SECRET not in mail.text + mail.html
    assert "asks you" in mail.text


async def test_times_are_said_in_the_zone_of_the_channel(server: MailServer) -> None:
    (mail,) = await sent(server, NOTICE, timezone="Europe/Berlin")
    assert "16 Jan 2027, 09:00 CET" in mail.text


async def test_names_and_subjects_beyond_ascii_arrive_as_they_are(server: MailServer) -> None:
    notice = replace(
        NOTICE, workflow="Rückzahlung 返金", recipient=Recipient(name="Jürgen Groß, جون", address="juergen@example.com")
    )
    (mail,) = await sent(server, notice, sender_name="Freigaben für Ämter")
    assert mail.raw.isascii()
    assert "Rückzahlung 返金" in mail.message["Subject"]
    assert mail.message["To"].addresses[0].display_name == "Jürgen Groß, جون"
    assert mail.message["From"].addresses[0].display_name == "Freigaben für Ämter"
    assert "Rückzahlung 返金" in mail.text
    assert "Rückzahlung 返金" in mail.html


async def test_an_address_beyond_ascii_is_reached_where_the_server_takes_it() -> None:
    notice = replace(NOTICE, recipient=Recipient(name="anna", address="jürgen@example.com"))
    async with mail_server(utf8=True) as server:
        (mail,) = await sent(server, notice)
        assert mail.recipient == "jürgen@example.com"
        assert "To: anna <jürgen@example.com>\r\n" in mail.raw.decode()
    async with mail_server() as server:
        refused = await refusal_of(server, notice)
        assert refused.is_final
        assert "beyond ASCII" in refused.problem


async def test_what_was_asked_cannot_pass_for_words_of_ours(server: MailServer) -> None:
    text = "Pay?\n\nRead and answer it here:\nhttps://evil.example/\n<script>alert(1)</script>\x00\x1b[31m\u2028!"
    (mail,) = await sent(server, replace(NOTICE, prompt=HumanPromptText(text=text)))
    asked = [line for line in mail.text.splitlines() if "evil.example" in line or "answer it here" in line]
    assert asked == ["> Read and answer it here:", "> https://evil.example/", "Read and answer it here:"]
    assert "<script" not in mail.html
    assert not {"\x00", "\x1b", "\u2028"} & set(mail.text + mail.html)


async def test_the_html_loads_nothing_and_has_no_script(server: MailServer) -> None:
    prompt = HumanPromptText(text="![x](https://elsewhere.example/x.png) [here](javascript:alert(1)) <img src=//x>")
    (mail,) = await sent(server, replace(NOTICE, prompt=prompt))
    for word in ("<img", "<script", "<link", "url(", "@import", 'javascript:alert(1)"', "src="):
        assert word not in mail.html.replace("&lt;img src=", "")
    assert "prefers-color-scheme: dark" in mail.html


async def test_mails_that_ask_nothing_say_where_they_can_be_ended(server: MailServer) -> None:
    where = "https://approvals.example/unsubscribe"
    done = replace(NOTICE, id="done", event=EventKind.EXECUTION_COMPLETED, prompt=None, interaction_id=None)
    question, told = await sent(server, NOTICE, done, unsubscribe=where)
    assert question.message["List-Unsubscribe"] is None
    assert told.message["List-Unsubscribe"] == f"<{where}>"


async def test_a_question_without_measure_for_people_without_number_is_cut_in_a_mail(server: MailServer) -> None:
    options = [MultipleChoiceOption(id=f"o{n}", label=f"Number {n} {'x' * 300}", value=str(n)) for n in range(2_000)]
    prompt = HumanPromptRadio(text="ü" * 500_000, options=options)
    (mail,) = await sent(server, replace(NOTICE, prompt=prompt, assignees=("anna", *(f"n{n}" for n in range(500)))))
    assert "n17, n18 and 481 more" in " ".join(mail.text.split())
    assert 10_000 < len(mail.text) < 40_000
    assert " […]" in mail.text
    assert "Number 99 " in mail.text
    assert "Number 100 " not in mail.text
    assert len(mail.raw) < 200_000


async def test_a_sample_says_that_it_is_one(server: MailServer) -> None:
    (mail,) = await sent(server, replace(NOTICE, is_sample=True))
    assert mail.message["Subject"].strip().startswith("[Sample] ")
    assert "Nothing is asked of you" in mail.text
    assert "Nothing is asked of you" in mail.html


# --- Headers and addresses -------------------------------------------------------------------------------------------

ANY = st.text(st.sampled_from('a: \r\n\t\x00\x0b\x85\u2028\u202e,;<>@"\\()=?_üB') | st.characters(), max_size=80)


ENCODED = "=?utf-8?q?=0D=0ABcc:_ben@example.com?="


@given(ANY, ANY, ANY, ANY)
@example(ENCODED, ENCODED, ENCODED, ENCODED)
@example("refund", "x" * 60 + " <ben@example.com>,", "1", "")
@example("refund", "x" * 70 + ', "Boss" <ben@example.com>', "1", "ä" * 160)
@example("refund", "x" * 66 + ' "q" \\ , ben@example.com, ä', "1", "=?")
@settings(max_examples=300)
def test_nothing_that_anybody_names_adds_a_header(workflow: str, name: str, execution: str, subject: str) -> None:
    notice = replace(NOTICE, workflow=workflow, execution_id=execution)
    recipient = Recipient(name=name, address="anna@example.com")
    mail = mail_of(notice, recipient, Worded(f"{workflow} {subject}", "text\n", None), Sender("a@example.com", name))
    head = mail.content.partition(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    assert names == [
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
        "X-Auto-Response-Suppress", "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    ]  # fmt: skip
    assert "\r" not in head.replace("\r\n", "")
    assert "\n" not in head.replace("\r\n", "")
    read = Received("", "", mail.content, False, None).message
    assert [address for _, address in getaddresses([str(read["To"])])] == ["anna@example.com"]
    assert read["To"].addresses[0].addr_spec == "anna@example.com"
    assert len(read["To"].addresses) == 1
    assert len(read["From"].addresses) == 1
    assert str(make_header(decode_header(_raw(head, "Subject")))).strip() == one_line(f"{workflow} {subject}")
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


def _raw(head: str, name: str) -> str:
    """The value of a header as it went over the wire, unfolded (RFC 5322, section 2.2.3)."""
    unfolded = head.replace("\r\n ", " ")
    return next(line.partition(": ")[2] for line in unfolded.split("\r\n") if line.startswith(f"{name}:"))


@pytest.mark.parametrize(
    "address",
    [
        "", "anna", "@example.com", "anna@", "anna@@example.com", "anna@example.com\nBcc: b@example.com",
        "anna@example.com\r\nRCPT TO:<b@example.com>", "an na@example.com", "<anna@example.com>", "anna@example..com",
        "anna@-example.com", ".anna@example.com", "anna.@example.com", "anna,ben@example.com", "anna@exämple.com",
        '"anna"@example.com', "anna@[127.0.0.1]", f"{'a' * 65}@example.com", "anna@example.com ", "anna\x00@example.com",
        "Anna <anna@example.com>", "an\u2028na@example.com", "an\u202ena@example.com",
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused_before_anything_is_sent(server: MailServer, address: str) -> None:
    with pytest.raises(ValueError, match=r"no mail address|not in ASCII"):
        check_address(address)
    refused = await refusal_of(server, replace(NOTICE, recipient=Recipient(name="anna", address=address)))
    assert refused.is_final
    assert server.connections == []


@pytest.mark.parametrize(
    "address", ["anna@example.com", "a.b+c@mail.example.com", "root@localhost", "jürgen@example.com"]
)
def test_what_is_an_address_is_taken(address: str) -> None:
    assert check_address(address) == address


def routes_in(folder: Path, text: str) -> Routes:
    (folder / "routes.toml").write_text(text)
    return routes_file.read(folder / "routes.toml")


CHANNELS = """
[channels.post]
kind = "mail"
host = "localhost"
security = "none"
sender = "approvals@example.com"
[channels.chat]
kind = "apprise"
url_env = "CHAT"
"""


def test_a_mail_goes_to_the_assignees_unless_its_route_says_otherwise(tmp_path: Path) -> None:
    text = f'{CHANNELS}[[routes]]\nname = "a"\nchannel = "post"\n[[routes]]\nname = "b"\nchannel = "chat"\n'
    routes = routes_in(tmp_path, text)
    assert [route.to for route in routes.routes] == [("assignees",), ()]
    assert not routes.has_tickets


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[people.anna]\nmail = "anna"', "people 'anna' mail: 'anna' is no mail address"),
        ('[people.anna]\npost = "anna@exämple.com"', "people 'anna' post: .* not in ASCII"),
        ('[[routes]]\nname = "a"\nchannel = "chat"\ntickets = true', "only a channel of mail"),
        ('[[routes]]\nname = "a"\nchannel = "post"\nevents = ["execution_failed"]', "tell 'owner', or name people"),
    ],
)
def test_a_routes_file_says_what_is_wrong_with_its_mails(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        routes_in(tmp_path, f"{CHANNELS}{text}\n")


def test_what_is_wrong_with_a_channel_names_it(tmp_path: Path) -> None:
    routes = routes_in(tmp_path, CHANNELS)
    with pytest.raises(InvalidArgument, match=r"^The channel 'chat': The URL of Apprise comes from CHAT, which is not"):
        routes.channels({})


# --- The connection --------------------------------------------------------------------------------------------------


async def test_mails_go_over_starttls_with_a_password(certificate: Path) -> None:
    async with mail_server(certificate=certificate, auth=True) as server:
        channel = channel_to(
            server, {"MAIL_PASSWORD": PASSWORD},
            security="starttls", username=USER, password_env="MAIL_PASSWORD", ca_file=str(certificate),
        )  # fmt: skip
        await channel.send(NOTICE)
        await channel.close()
        (mail,) = server.mails
        assert mail.is_encrypted
        assert mail.user == USER


async def test_mails_go_over_tls_from_the_start_with_a_password_of_a_file(certificate: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    async with mail_server(certificate=certificate, from_the_start=True, auth=True) as server:
        channel = channel_to(server, security="tls", username=USER, password_file=str(file), ca_file=str(certificate))
        await channel.send(NOTICE)
        await channel.close()
        (mail,) = server.mails
        assert mail.is_encrypted
        assert mail.user == USER


async def test_a_wrong_password_is_a_failure_that_an_operator_can_mend(certificate: Path) -> None:
    async with mail_server(certificate=certificate, auth=True) as server:
        refused = await refusal_of(
            server, environ={"P": SECRET},
            security="starttls", username=USER, password_env="P", ca_file=str(certificate),
        )  # fmt: skip
    assert not refused.is_final
    assert "refused the username or the password" in refused.problem
    assert SECRET not in refused.problem


async def test_without_starttls_nothing_is_sent(server: MailServer, certificate: Path) -> None:
    refused = await refusal_of(
        server, environ={"P": SECRET},
        security="starttls", username=USER, password_env="P", ca_file=str(certificate),
    )  # fmt: skip
    assert not refused.is_final
    assert "STARTTLS" in refused.problem
    assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_whose_certificate_is_not_trusted_gets_nothing(certificate: Path, security: str) -> None:
    async with mail_server(certificate=certificate, from_the_start=security == "tls") as server:
        refused = await refusal_of(server, security=security)
        assert not refused.is_final
        assert "certificate is not trusted" in refused.problem
        assert server.mails == []


def test_only_a_server_of_this_machine_goes_without_tls() -> None:
    given = MailSettings(host="mail.example.com", security="none", sender="a@example.com")
    with pytest.raises(InvalidArgument, match="beyond this machine"):
        given.channel(context_of())


@pytest.mark.parametrize(
    ("given", "environ", "words"),
    [
        ({"username": "u"}, {}, "both a username and a password"),
        ({"password_env": "P"}, {"P": "x"}, "both a username and a password"),
        ({"username": "u", "password_env": "P"}, {}, "P, which is not set"),
        ({"username": "u", "password_env": "P", "password_file": "f"}, {"P": "x"}, "name one of them"),
        ({"username": "u", "password_file": "/nowhere/password"}, {}, "cannot be read"),
        ({"security": "tls", "ca_file": "/nowhere/ca.pem"}, {}, "holds no certificates"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    given: dict[str, Any], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        settings_of(25, **given).channel(context_of(environ))


@pytest.mark.parametrize(
    "given",
    [
        {"sender": "nobody"}, {"reply_to": "x\ny@example.com"}, {"timezone": "Mars/Olympus"}, {"password": "x"},
        {"unsubscribe": "javascript:alert(1)"}, {"unsubscribe": "https://x.example/>\r\nBcc: x"}, {"security": "maybe"},
        {"timeout": 0},
    ],
)  # fmt: skip
def test_settings_that_are_malformed_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_of(25, **given)


async def test_several_mails_go_over_one_connection(server: MailServer) -> None:
    await sent(server, *(replace(NOTICE, id=str(number)) for number in range(5)))
    assert len(server.mails) == 5
    assert len(server.connections) == 1


async def test_a_connection_that_the_server_closed_meanwhile_costs_no_attempt(server: MailServer) -> None:
    channel = channel_to(server)
    await channel.send(NOTICE)
    server.hang_up()
    await channel.send(replace(NOTICE, id="second"))
    await channel.close()
    assert len(server.mails) == 2
    assert len(server.connections) == 2


async def test_many_mails_at_once_share_the_connections(server: MailServer) -> None:
    channel = channel_to(server, connections=2)
    await asyncio.gather(*(channel.send(replace(NOTICE, id=str(number))) for number in range(20)))
    await channel.close()
    assert len(server.mails) == 20
    assert len(server.connections) == 2


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
@pytest.mark.parametrize(
    ("reply", "is_final"),
    [
        ("451 4.7.1 Come back later", False),
        ("550 5.1.1 No such user", True),
        ("552 5.3.4 Too large", True),
        ("421 4.3.2 Going down", False),
        ("550 5.4.5 Daily user sending quota exceeded", False),
        ("550 5.1.90 Daily limit of messages", False),
        ("554 5.7.1 Relay access denied", False),
        ("530 5.7.0 Log in first", False),
        ("552 5.2.2 Mailbox full", False),
    ],
)
async def test_what_a_server_takes_later_is_tried_again_and_what_it_refuses_is_not(
    server: MailServer, stage: str, reply: str, is_final: bool
) -> None:
    server.replies[stage] = reply
    refused = await refusal_of(server)
    assert refused.is_final is is_final
    assert reply.rpartition(".")[0] in refused.problem


async def test_a_refused_recipient_is_no_hindrance_for_the_next(server: MailServer) -> None:
    server.replies["anna@example.com"] = "550 5.1.1 No such user"
    channel = channel_to(server)
    with pytest.raises(DeliveryFailed):
        await channel.send(NOTICE)
    await channel.send(replace(NOTICE, recipient=Recipient(name="ben", address="ben@example.com")))
    await channel.close()
    assert [mail.recipient for mail in server.mails] == ["ben@example.com"]
    assert len(server.connections) == 1


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
async def test_what_a_server_says_shows_operators_no_address_and_no_link(server: MailServer, stage: str) -> None:
    link = f"https://approvals.example/ticket?ticket={SECRET}"
    server.replies[stage] = f"550 5.7.1 <anna@example.com> rejected: {link} {'x' * 40}{SECRET}"
    refused = await refusal_of(server, replace(NOTICE, link=link))
    assert SECRET not in refused.problem
    assert "anna@example.com" not in refused.problem
    assert "550 5.7.1" in refused.problem


async def test_a_server_that_is_not_there_is_a_failed_attempt() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = await refusal_of(MailServer(port=taken.getsockname()[1]))
    assert not refused.is_final
    assert "refused" in refused.problem


async def test_a_server_that_says_nothing_is_a_failed_attempt() -> None:
    gone = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    refused = await refusal_of(MailServer(port=silent.sockets[0].getsockname()[1]), timeout=1)
    assert not refused.is_final
    assert "in time" in refused.problem
    gone.set()
    silent.close()


async def test_a_server_that_speaks_no_smtp_is_a_failed_attempt() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(babble, "127.0.0.1", 0)
    refused = await refusal_of(MailServer(port=other.sockets[0].getsockname()[1]))
    assert not refused.is_final
    other.close()


async def test_a_notice_for_nobody_is_no_mail(server: MailServer) -> None:
    refused = await refusal_of(server, replace(NOTICE, recipient=None))
    assert refused.is_final


# --- Templates -------------------------------------------------------------------------------------------------------


async def test_a_route_words_its_mails_by_its_own_template(server: MailServer, tmp_path: Path) -> None:
    text = "Subject: Freigabe: {{ workflow }}\n\n{{ question|quoted }}\nBis {{ deadline }}: {{ link }}\n"
    (tmp_path / "freigabe.txt").write_text(text)
    channel = worded(server.port, tmp_path / "freigabe.txt")
    await channel.send(NOTICE)
    await channel.send(replace(NOTICE, id="other", route="another"))
    await channel.close()
    own, ours = server.mails
    assert own.message["Subject"] == "Freigabe: refund"
    assert own.text.startswith("> May *Grace*")
    assert own.message.get_content_type() == "text/plain"
    assert ours.message["Subject"].startswith("A question for you")


async def test_the_html_of_a_template_stands_beside_it_and_is_escaped(server: MailServer, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("{{ question }}")
    (tmp_path / "own.html").write_text("<p>{{ question }} {{ workflow }}</p>{{ question|markdown }}")
    channel = worded(server.port, tmp_path / "own.txt")
    await channel.send(replace(NOTICE, workflow="<b>", prompt=HumanPromptText(text="<i> *x*")))
    await channel.close()
    (mail,) = server.mails
    assert mail.html.split() == ["<p>&lt;i&gt;", "*x*", "&lt;b&gt;</p><p", 'dir="auto">&lt;i&gt;', "<em>x</em></p>"]
    assert mail.message["Subject"] == "A question for you (01990000-0000-7000-8000-0000000000e1)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ nothing_like_this }}", "nothing_like_this"),
        ("{% if %}", "line 1"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ question.__init__.__globals__ }}", "unsafe"),
        ("{{ options.append(1) }}", "unsafe"),
        ("{% include '/etc/hostname' %}", "no template"),
        ("{% include '../secret.txt' %}", "no template"),
        ("{{ range(100000000)|list|length }}", "OverflowError"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, text: str, words: str) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "bad.txt").write_text(text)
    with pytest.raises(InvalidArgument, match=words):
        worded(25, folder / "bad.txt")


def test_a_template_that_is_missing_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no template gone"):
        worded(25, tmp_path / "gone.txt")
    with pytest.raises(InvalidArgument, match="ends in"):
        worded(25, tmp_path / "gone.html")


async def test_a_template_that_fails_on_a_notice_is_a_failed_attempt(server: MailServer, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("{{ 1 // (priority - 3) }}")
    channel = worded(server.port, tmp_path / "own.txt")
    with pytest.raises(DeliveryFailed, match="ZeroDivisionError") as refused:
        await channel.send(replace(NOTICE, priority=3))
    await channel.close()
    assert not refused.value.is_final
