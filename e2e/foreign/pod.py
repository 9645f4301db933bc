"""A pod: says over TCP and UDP, on port 8080, on which node it is and which client it sees."""
import os
import selectors
import socket

node = os.environ["NODE"]
selector = selectors.DefaultSelector()


def answer(client):
    return f"node={node} client={client[0].removeprefix('::ffff:')} port={client[1]}\n".encode()


def bound(kind):
    one = socket.socket(socket.AF_INET6, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("::", 8080))
    return one


def accept(listener):
    stream, client = listener.accept()
    selector.register(stream, selectors.EVENT_READ, lambda stream: talk(stream, client))


def talk(stream, client):
    try:
        if stream.recv(1024):
            stream.sendall(answer(client))
            return
    except OSError:
        pass
    selector.unregister(stream)
    stream.close()


def reply(datagrams):
    _, client = datagrams.recvfrom(1024)
    datagrams.sendto(answer(client), client)


tcp, udp = bound(socket.SOCK_STREAM), bound(socket.SOCK_DGRAM)
tcp.listen(64)
selector.register(tcp, selectors.EVENT_READ, accept)
selector.register(udp, selectors.EVENT_READ, reply)
while True:
    for key, _ in selector.select():
        key.data(key.fileobj)
