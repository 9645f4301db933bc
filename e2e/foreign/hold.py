"""hold.py ADDRESS PORT FILE: one connection, asked every 20 ms until FILE is there; fails if an answer takes 5 s or does not come."""
import os
import socket
import sys
import time

address, port, file = sys.argv[1:]
count = 0
with socket.create_connection((address, int(port)), timeout=5) as one:
    one.settimeout(5)
    while not os.path.exists(file):
        one.sendall(b"hello\n")
        answer = one.recv(1024)
        if not answer:
            sys.exit(f"closed after {count} answers")
        count += 1
        time.sleep(0.02)
print(f"{count} answers over one connection")
sys.exit(count == 0)
