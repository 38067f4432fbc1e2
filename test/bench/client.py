# python3-libvirt's side of the client bench: for each line on stdin, lists the domains of the connection in argv[1],
# reads each one's info, and prints [count, milliseconds].
import json
import sys
import time

import libvirt

connection = libvirt.open(sys.argv[1])
for _ in sys.stdin:
    started = time.perf_counter()
    infos = [domain.info() for domain in connection.listAllDomains()]
    print(json.dumps([len(infos), (time.perf_counter() - started) * 1000]), flush=True)
