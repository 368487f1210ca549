#!/usr/bin/env python3
"""A proxy that makes every request to a server wait: `latency.py SERVER_PORT MILLISECONDS`, on the loopback interface.

It prints the port it listens at. What a client says for the first time on a connection, or after the server has said
something, is held back for so long: one wait for each request of HTTP/1.1, and one more where a client waits for
"100 Continue". Making a connection costs nothing more. When its standard input ends, it prints how many requests of each
kind it saw and how many waits that were, and ends.
"""
import asyncio, json, os, sys

KINDS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")
PIECE = 1 << 20


async def main(port, delay):
    seen = {"waits": 0}

    async def connection(client_in, client_out):
        server_in, server_out = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
        turn = "client"

        async def requests():
            nonlocal turn
            starts = True
            while data := await client_in.read(PIECE):
                if starts or turn == "server":
                    starts, turn = False, "client"
                    kind = next((kind for kind in KINDS if data.startswith(kind)), None)
                    if kind is not None:
                        listing = kind == b"GET " and b"prefix=" in data[: data.find(b"\r\n")]
                        name = "LIST" if listing else kind.decode().strip()
                        seen[name] = seen.get(name, 0) + 1
                    seen["waits"] += 1
                    await asyncio.sleep(delay)
                server_out.write(data)
                await server_out.drain()
            server_out.write_eof()

        async def answers():
            nonlocal turn
            while data := await server_in.read(PIECE):
                turn = "server"
                client_out.write(data)
                await client_out.drain()

        try:
            await asyncio.wait([asyncio.ensure_future(requests()), asyncio.ensure_future(answers())],
                               return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            client_out.close()
            server_out.close()

    listener = await asyncio.start_server(connection, "127.0.0.1", 0, limit=PIECE, backlog=1024)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps(seen), flush=True)
    # Connections that clients keep open need no farewell.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
