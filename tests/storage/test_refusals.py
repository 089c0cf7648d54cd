import time
from email.utils import formatdate

import pytest

from higgsdemo.errors import CredentialsError, InputError, TransientError
from higgsdemo.storage.patience import PassingError
from higgsdemo.storage.refusals import Reply, refusal, retry_after


def xml(code: str, message: str = "why it is so") -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, xml("SlowDown"), PassingError),
        (429, "", PassingError),
        (400, xml("RequestTimeout"), PassingError),
        (403, xml("RequestTimeTooSkewed"), CredentialsError),
        (403, xml("AccessDenied"), CredentialsError),
        (400, xml("ExpiredToken"), CredentialsError),
        (400, xml("AuthorizationHeaderMalformed"), CredentialsError),
        (401, "", CredentialsError),
        (404, xml("NoSuchKey"), InputError),
        (412, "", TransientError),
        (416, "", TransientError),
        (405, "", InputError),
    ],
)
def test_whose_fault_it_is(status: int, body: str, kind: type[Exception]):
    found = refusal(Reply(status, "Reason", {}, body), "https://h/f", hint="a hint")
    assert type(found) is kind
    assert str(status) in str(found)


def test_the_clock_is_told_in_seconds():
    headers = {"date": formatdate(time.time() - 5000, usegmt=True)}
    found = refusal(Reply(403, "Forbidden", headers, xml("RequestTimeTooSkewed")), "u", hint="")
    assert isinstance(found, CredentialsError)
    assert found.what.startswith("the clock of this machine is wrong: 500")
    assert found.what.endswith("s ahead")


def test_only_code_and_message_of_an_answer_are_told():
    body = xml("SignatureDoesNotMatch") + "<StringToSign>AWS4 secret stuff</StringToSign>"
    found = refusal(Reply(403, "Forbidden", {}, body), "u", hint="")
    assert "why it is so" in str(found)
    assert "secret stuff" not in str(found)


def test_retry_after():
    assert retry_after({"retry-after": "7"}) == 7
    date = formatdate(time.time() + 100, usegmt=True)
    assert 90 < (retry_after({"retry-after": date}) or 0) < 101
    assert retry_after({"retry-after": formatdate(time.time() - 100, usegmt=True)}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
