"""What is read from VBoxManage's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.backends.virtualbox.manage import Forward, Info, Manage, Refused
from gbuild.errors import MissingTool

_ANSWER = """\
name="Gitian-bookworm-amd64"
groups="/"
UUID="0c2b1a4e-7d55-4a5a-8a3f-5f7a6b1c9d10"
memory=2048
cpus=2
VMState="saved"
GUI/LastCloseAction="PowerOff"
"extra "="with "quotes" inside"
Forwarding(0)="guestssh,tcp,,2223,,22"
Forwarding(1)="web,tcp,127.0.0.1,8080,10.0.2.15,80"
Forwarding(2)="broken"
SnapshotName="Gitian-Clean"
SnapshotUUID="11111111-1111-1111-1111-111111111111"
SnapshotName-1="later, with = and {}"
SnapshotUUID-1="22222222-2222-2222-2222-222222222222"
CurrentSnapshotName="later"
"""


@pytest.fixture
def answering(tmp_path: Path) -> Path:
    """A program that answers what lies beside it, and ends as it is told."""
    program = tmp_path / "VBoxManage"
    program.write_text(
        '#!/bin/sh\necho "$*" >> "$0.asked"\ncat "$0.stderr" >&2; cat "$0.stdout"\n'
        'exit "$(cat "$0.status")"\n'
    )
    program.chmod(0o755)
    answer(program)
    return program


def answer(program: Path, stdout: str = "", *, stderr: str = "", status: int = 0) -> None:
    for name, text in (("stdout", stdout), ("stderr", stderr), ("status", str(status))):
        Path(f"{program}.{name}").write_text(text)


def manage(program: Path) -> Manage:
    return Manage({"program": str(program)}, {})


def test_a_machine(answering: Path) -> None:
    answer(answering, _ANSWER)
    info = manage(answering).info("x")
    assert (info.name, info.state, info.busy, info.memory) == (
        "Gitian-bookworm-amd64", "saved", False, 2048 << 20,
    )  # fmt: skip
    assert info.forwards == (
        Forward(name="guestssh", protocol="tcp", host="", port=2223, inside=22),
        Forward(name="web", protocol="tcp", host="127.0.0.1", port=8080, inside=80),
    )
    assert info.snapshots == {
        "Gitian-Clean": "1" * 8 + "-1111-1111-1111-" + "1" * 12,
        "later, with = and {}": "2" * 8 + "-2222-2222-2222-" + "2" * 12,
    }
    assert Path(f"{answering}.asked").read_text() == "showvminfo x --machinereadable\n"


def test_a_machine_that_another_process_has_is_busy() -> None:
    assert Info({"VMState": "poweroff", "SessionName": "GUI/Qt"}).busy
    assert Info({"VMState": "paused"}).busy
    assert not Info({"VMState": "aborted"}).busy


def test_names_of_all_machines(answering: Path) -> None:
    uuid = "0c2b1a4e-7d55-4a5a-8a3f-5f7a6b1c9d10"
    answer(answering, f'"a "b" {{c}}" {{{uuid}}}\n"<inaccessible>" {{{uuid[::-1]}}}\nnonsense\n')
    assert manage(answering).machines()[uuid] == 'a "b" {c}'


def test_labels(answering: Path) -> None:
    answer(answering, "No value set!\n")
    assert manage(answering).label("x") == ("", "")
    answer(answering, "Value: box~1~2 /a store/with spaces\n")
    assert manage(answering).label("x") == ("box~1~2", "/a store/with spaces")


def test_a_refusal_carries_its_code_and_words(answering: Path) -> None:
    said = (
        "VBoxManage: error: Could not find a registered machine named 'x'\n"
        "VBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001), component "
        "VirtualBoxWrap, interface IVirtualBox, callee nsISupports\n"
    )
    answer(answering, stderr=said, status=1)
    with pytest.raises(Refused) as caught:
        manage(answering).ask("startvm", "x")
    assert caught.value.code == "VBOX_E_OBJECT_NOT_FOUND"
    assert caught.value.details[0].endswith("named 'x'")
    assert manage(answering).find("x") is None
    answer(
        answering, stderr="VBoxManage: error: Failed to create the VirtualBox object!\n", status=1
    )
    with pytest.raises(Refused, match="showvminfo failed with status 1"):
        manage(answering).find("x")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(MissingTool, match="/no/VBoxManage"):
        manage(Path("/no/VBoxManage")).version()


def test_nothing_of_the_persons_environment_but_virtualboxs_own(answering: Path) -> None:
    answering.write_text("#!/bin/sh\necho $HOME $VBOX_USER_HOME $SECRET\n")
    environment = {"HOME": "/h", "VBOX_USER_HOME": "/v", "SECRET": "s"}
    assert Manage({"program": str(answering)}, environment).ask("x") == "/h /v\n"
