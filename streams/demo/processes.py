"""Child processes of the embedded stack, which leaves none of them behind."""

import asyncio
import subprocess


async def end(process: "subprocess.Popen[bytes]", within: float = 5.0) -> None:
    """Ask a process to end, and kill it if it takes longer than `within` seconds."""
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, within)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)
