"""Recordings: lines are typed when a program waits for them, and what waits for ever is ended."""

from longcat_eval.runners.sandbox.sandboxes import DockerSandboxes
from longcat_eval.runners.terminal.recording import Recorder, Recording, RecordLimits

MENU = """\
import sys, time
while True:
    choice = input("choice> ")
    if choice == "slow": time.sleep(0.3)
    if choice == "end": sys.exit(3)
    print("chose", choice)
"""
SERVER = """\
import socket
server = socket.create_server(("127.0.0.1", 5000))
while True:
    server.accept()[0].sendall(b"served")
"""
CLIENT = "import socket; print(socket.create_connection(('127.0.0.1', 5000), 5).recv(9))"
PASSWORD = "import getpass; print(len(getpass.getpass()))"
LIMITS = RecordLimits(command=20, idle=0.6, hungry=0.3, grace=0.6)


def text(recording: Recording) -> str:
    return recording.output.decode().replace("\r\n", "\n")


async def test_what_programs_do_on_a_terminal(sandboxes: DockerSandboxes, programs_image: str) -> None:
    sandbox = await sandboxes.start(programs_image)
    await sandbox.put("/project/menu.py", MENU.encode())
    await sandbox.put("/project/server.py", SERVER.encode())
    recorder = Recorder(sandbox, LIMITS, cwd="/project")

    whole = await recorder.run("python3 menu.py", ["slow", "b", "end", "never"])
    assert text(whole) == "choice> slow\nchose slow\nchoice> b\nchose b\nchoice> end\n", (
        "answers after questions"
    )
    assert (whole.end, whole.exit_code, whole.typed, whole.given) == ("exited", 3, 3, 4)

    hungry = await recorder.run("python3 menu.py", ["a"])
    assert text(hungry).startswith("choice> a\nchose a\nchoice> ^CTraceback")
    assert (hungry.end, hungry.exit_code) == ("interrupted", 130)

    broken = await recorder.run("python3 menu.py", ["^C"])
    assert (broken.end, broken.exit_code, broken.typed) == ("exited", 130, 1), "the line stands for the key"

    hidden = await recorder.run(f"python3 -c '{PASSWORD}'", ["secret"])
    assert text(hidden) == "Password: \n6\n"

    server = await recorder.run("python3 server.py", more=True)
    client = await recorder.run(f'python3 -c "{CLIENT}"')
    assert (server.end, text(client)) == ("left", "b'served'\n")
    await recorder.end()
    again = await recorder.run(f'python3 -c "{CLIENT}"')
    assert "ConnectionRefusedError" in text(again), "what was left has ended"

    stubborn = await recorder.run("trap '' INT; sleep 60; sleep 60")
    assert (stubborn.end, stubborn.exit_code) == ("killed", 137)

    flood = await recorder.run("seq 200000 && false")
    assert flood.cut > 0
    assert (text(flood)[:4], text(flood)[-8:], flood.exit_code) == ("1\n2\n", "\n200000\n", 1)
    await recorder.end()
