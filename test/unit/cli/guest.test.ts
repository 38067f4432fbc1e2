import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import test from "node:test";
import type { ExecInGuestRequest__Output } from "../../../agent/gen/socle/v1/ExecInGuestRequest.ts";
import type { SetGuestPasswordRequest__Output } from "../../../agent/gen/socle/v1/SetGuestPasswordRequest.ts";
import type { SetGuestSshKeysRequest__Output } from "../../../agent/gen/socle/v1/SetGuestSshKeysRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";

test("a password comes from stdin, or from a prompt that does not show it", async (context) => {
  const requests: SetGuestPasswordRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    guests: {
      SetGuestPassword: (call, done) => {
        requests.push(call.request);
        done(null, {});
      },
    },
  });
  const line = ["guest", "password", "web-1", "root"];
  const piped = await socle(line, { socket, stdin: new PassThrough().end("from stdin\n") });
  assert.equal(piped.exitCode, 0);
  const raw: boolean[] = [];
  const terminal = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on),
  });
  terminal.write("typo\u007f\u007f\u007f\u007fsecret\r");
  const typed = await socle(line, { socket, stdin: terminal });
  assert.equal(typed.exitCode, 0);
  assert.deepEqual(
    requests.map(({ password }) => password),
    ["from stdin", "secret"],
  );
  assert.deepEqual(raw, [true, false]);
  assert.ok(!`${typed.stdout}${typed.stderr}`.includes("secret"));
  const empty = await socle(line, { socket });
  assert.equal(empty.exitCode, 2);
  const interrupted = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  interrupted.write("\u0003");
  assert.equal((await socle(line, { socket, stdin: interrupted })).exitCode, 130);
});

test("keys are read from files, without comments and empty lines", async (context) => {
  const requests: SetGuestSshKeysRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    guests: {
      SetGuestSshKeys: (call, done) => {
        requests.push(call.request);
        done(null, {});
      },
    },
  });
  const directory = await mkdtemp(join(tmpdir(), "socle-keys-"));
  context.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "keys");
  await writeFile(file, "# mine\nssh-ed25519 AAAA a@b\n\nssh-ed25519 BBBB c@d\n");
  const line = ["guest", "ssh-keys", "web-1", "root"];
  assert.equal((await socle([...line, "--key-file", file], { socket })).exitCode, 0);
  assert.equal((await socle([...line, "--replace"], { socket })).exitCode, 0);
  assert.deepEqual(
    requests.map(({ keys, replace }) => [keys.length, replace]),
    [
      [2, false],
      [0, true],
    ],
  );
  assert.equal((await socle(line, { socket })).exitCode, 2);
  assert.equal((await socle([...line, "--key-file", join(directory, "none")], { socket })).exitCode, 2);
});

test("a program's output cannot control the terminal, and its failure is the command's", async (context) => {
  const requests: ExecInGuestRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    guests: {
      ExecInGuest: (call, done) => {
        requests.push(call.request);
        done(null, { exitCode: 3, output: Buffer.from("a\u001b[2Jb\tc\n"), errorOutput: Buffer.from("e\n") });
      },
    },
  });
  const line = ["guest", "exec", "web-1", "--", "/bin/sh", "-c", "exit 3"];
  const piped = await socle(line, { socket });
  assert.deepEqual([piped.exitCode, piped.stdout], [1, "a\u001b[2Jb\tc\n"]);
  assert.match(piped.stderr, /^e\nsocle: \/bin\/sh exited with 3\n$/);
  const shown = await socle(line, { socket, isTTY: true });
  assert.ok(!shown.stdout.includes("\u001b"), JSON.stringify(shown.stdout));
  assert.deepEqual([requests[0]?.path, requests[0]?.arguments], ["/bin/sh", ["-c", "exit 3"]]);
  const json = await socle(["--json", ...line], { socket });
  assert.equal((JSON.parse(json.stdout) as { output: string }).output, "a\u001b[2Jb\tc\n");
});
