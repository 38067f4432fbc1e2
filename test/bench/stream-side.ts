// Socle's side of the stream bench; an interactive virsh is the other. For each line on stdin, `up` or `down`, copies the
// file in argv[3] to the volume at argv[4], or the volume to /dev/null, and prints `done`. Files are read and written
// synchronously, as in virsh, so that Node's file threads are not part of the figures.
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { silentLog } from "../../agent/kernel/log.ts";
import * as lv from "../../agent/libvirt/index.ts";

const [, , uri = "", file = "", path = ""] = process.argv;
const libvirt = await lv.Libvirt.connect({ uri, log: silentLog });

async function upload(): Promise<void> {
  const { vol } = await libvirt.call(lv.storageVolLookupByPath, { path });
  const source = openSync(file, "r");
  const length = fstatSync(source).size;
  const stream = await libvirt.openStream(lv.storageVolUpload, { vol, offset: 0, length, flags: 0 });
  const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
  for (let bytes = 1; bytes > 0;) {
    bytes = readSync(source, buffer);
    await stream.write(buffer.subarray(0, bytes));
  }
  await stream.finish();
  closeSync(source);
}

async function download(): Promise<void> {
  const { vol } = await libvirt.call(lv.storageVolLookupByPath, { path });
  const sink = openSync("/dev/null", "w");
  const stream = await libvirt.openStream(lv.storageVolDownload, { vol, offset: 0, length: 0, flags: 0 });
  for await (const chunk of stream) writeSync(sink, chunk);
  closeSync(sink);
}

for await (const line of createInterface(process.stdin)) {
  await (line === "up" ? upload() : download());
  process.stdout.write("done\n");
}
await libvirt.close();
