"""dial.py tcp|udp ADDRESS PORT [COUNT [SOURCE]]: asks so often, each time anew, and prints every answer or why there is none."""
import socket
import sys

protocol, address, port, *rest = sys.argv[1:]
count = int(rest[0]) if rest else 1
family = socket.AF_INET6 if ":" in address else socket.AF_INET
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
failed = 0
for _ in range(count):
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        try:
            if len(rest) > 1:
                one.bind((rest[1], 0))
            one.connect((address, int(port)))
            one.sendall(b"hello\n")
            print(one.recv(1024).decode().strip())
        except TimeoutError:
            print("timeout")
            failed += 1
        except OSError as error:
            print(error.strerror)
            failed += 1
sys.exit(failed > 0)
