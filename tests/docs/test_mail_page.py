"""The page on mail: its routes are taken, its template works, and the mail that it shows is the one that is sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from restpoint.events import EventKind
from restpoint.notify import routes_file
from restpoint.notify.notices import Notice, Recipient
from restpoint.notify.wording import MAIL, Given, Wording, sample
from restpoint.prompts import HumanPromptText
from transcripts import DOCS, blocks

PAGE = [block for block in blocks(DOCS / "how-to" / "mail.md") if block.marker]
SHOWN = Notice(
    id="notice",
    event=EventKind.INTERACTION_ASKED,
    sequence=7,
    time=1_800_000_000_000,
    route="questions",
    attempt=1,
    execution_id="01990000-0000-7000-8000-0000000000e1",
    workflow="refund",
    owner="ada",
    status="interaction_required",
    interaction_id="01990000-0000-7000-8000-0000000000f1",
    prompt=HumanPromptText(text="May *Grace* have her money back?"),
    assignees=("anna", "group:finance"),
    deadline_at=1_800_086_400_000,
    recipient=Recipient(name="anna", address="anna@example.com"),
)


def texts(marker: str) -> list[str]:
    return [block.text for block in PAGE if block.marker == marker]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_its_routes_are_taken_with_all_channels_and_the_template(tmp_path: Path) -> None:
    (template,) = texts("template of a mail")
    (tmp_path / "ends.txt").write_text(template)
    path = tmp_path / "routes.toml"
    path.write_text("\n".join(texts("routes of mail")))
    routes = routes_file.read(path)
    assert [route.name for route in routes.routes] == ["questions", "ends", "chat"]
    assert routes.has_tickets
    made = routes.channels({"SMTP_PASSWORD": "x", "CHAT_URL": "json://localhost"}, "https://approvals.example.com")
    assert set(made) == {"post", "chat"}


def test_the_mail_that_it_shows_is_the_one_that_is_sent() -> None:
    given = Given(link="https://approvals.example.com/ticket?ticket=…", is_personal=True, is_addressed=True)
    worded = Wording().words(SHOWN, given)
    assert texts("a mail") == [f"Subject: {worded.subject}\n\n{worded.text}"]


def test_it_lists_every_value_that_a_template_sees() -> None:
    seen = Wording()._values(sample(EventKind.INTERACTION_ASKED), Given(link=None))
    page = (DOCS / "how-to" / "mail.md").read_text()
    table = page.partition("| value | what it is |")[2].partition("\n\n")[0]
    listed = {name.strip(" `") for line in table.splitlines()[2:] for name in line.split("|")[1].split(",")}
    assert listed == set(seen)


def test_its_template_says_what_it_means_to(tmp_path: Path) -> None:
    (template,) = texts("template of a mail")
    (tmp_path / "ends.txt").write_text(template)
    done = replace(SHOWN, event=EventKind.EXECUTION_COMPLETED)
    worded = Wording(tmp_path / "ends.txt", MAIL).words(done, Given(link="https://approvals.example.com/view/1"))
    assert worded.subject == "refund ist fertig (01990000-0000-7000-8000-0000000000e1)"
    assert worded.text == "Alles ist erledigt.\nhttps://approvals.example.com/view/1\n"
    assert worded.html is None
