"""A line that takes its time: what comes in goes out a while later, in both directions, as fast as it came.

Usage: python slow_line.py <port to listen on> <port to pass on to> <milliseconds each way>
"""

import asyncio
import sys

# A sender is not read ahead of the line by more.
UNDER_WAY_MAX = 64 << 20


async def carry(reader, writer, delay):
    loop = asyncio.get_running_loop()
    under_way = asyncio.Queue()
    carried, room = 0, asyncio.Event()
    room.set()

    async def deliver():
        nonlocal carried
        while True:
            due, piece = await under_way.get()
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(piece)
            carried -= len(piece)
            room.set()
            await writer.drain()

    delivering = asyncio.ensure_future(deliver())
    try:
        while True:
            piece = await reader.read(1 << 18)
            under_way.put_nowait((loop.time() + delay, piece))
            carried += len(piece)
            if not piece:
                break
            if carried > UNDER_WAY_MAX:
                room.clear()
                await room.wait()
        await delivering
    except OSError:
        delivering.cancel()


async def main():
    port, beyond, delay = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000

    async def join(reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", beyond)
        await asyncio.gather(carry(reader, far_writer, delay), carry(far_reader, writer, delay))
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(join, "127.0.0.1", port, limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
