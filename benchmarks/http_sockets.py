"""A server of ``servers/`` as a process, and a client that costs little beside it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Server:
    """One uvicorn process; its socket is made here, so it listens from the beginning."""

    def __init__(self, module: str, database: Path) -> None:
        environment = {**os.environ, "RESTPOINT_DATABASE": str(database), "PYTHONPATH": str(HERE / "servers")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", f"{module}:app", "--port", "0", "--no-access-log", "--log-level", "info"],
            cwd=HERE / "servers", env=environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        self.port = 0
        for line in self.process.stderr:
            if "Uvicorn running on" in line:
                self.port = int(line.split("http://127.0.0.1:")[1].split()[0])
                break
        if not self.port:
            raise SystemExit(f"{module} did not start")

    def cpu(self) -> float:
        """Seconds of processor time so far (proc(5), stat, fields 14 and 15)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Connection:
    """HTTP/1.1 over one kept connection, with no more than this needs."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def request(self, method: str, path: str, body: bytes = b"", more: str = "") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        reply = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = reply.partition("content-length: ")[2].partition("\r\n")[0]
        content = await self._reader.readexactly(int(length)) if length else b""
        return int(reply[9:12]), content

    def close(self) -> None:
        self._writer.close()
