import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { isOwnPeer, userOfPeer } from "../../../agent/cli/local-peer.ts";
import { folder } from "../../support/state/folder.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1770 0100007F:8CA0 01 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 0 10 0
   1: 0100007F:8CA0 0100007F:1770 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0 0 10 0
`;

test("the user of a connection is that of its other end", async (t) => {
  const root = await folder(t);
  await mkdir(join(root, "net"));
  await writeFile(join(root, "net/tcp"), table);
  assert.equal(await userOfPeer({ localPort: 0x1770, remotePort: 0x8ca0 }, root), 1001);
  assert.equal(await userOfPeer({ localPort: 0x1770, remotePort: 0x8ca1 }, root), undefined);
  assert.equal(await userOfPeer({ localPort: 1, remotePort: 2 }, join(root, "missing")), undefined);
});

test("a connection of this process is of this user", async (t) => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  assert.equal(await isOwnPeer(socket, {}), true);
});
