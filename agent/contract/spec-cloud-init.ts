import * as z from "../kernel/zod.ts";
import type { Immutable } from "../kernel/immutable.ts";
import { printable, resourceName } from "./spec-values.ts";

// The cloud-init part of a VM's spec, in two schemas: what is stored with the VM and shown, and what is secret.

const KIB = 1024;
const help = (description: string, example: unknown) => ({ description, examples: [example] });

const LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const hostname = z
  .string()
  .max(253, "must be at most 253 characters")
  .regex(
    new RegExp(`^${LABEL}(\\.${LABEL})*$`),
    "must be a host name: labels of A-Z, a-z, 0-9 and '-' between dots, at most 63 characters each",
  );

const PUBLIC_KEY = /^((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]{1,60}) ([A-Za-z0-9+/]+={0,2})(?: .*)?$/;

/** The base64 part of a public key begins with the key's type: a private key, or a cut line, has none. */
function isPublicKey(line: string): boolean {
  const [, type = "", base64 = ""] = PUBLIC_KEY.exec(line) ?? [];
  const blob = Buffer.from(base64, "base64");
  const typeBytes = blob.length < 4 ? 0 : blob.readUInt32BE(0);
  return typeBytes > 0 && blob.toString("latin1", 4, 4 + typeBytes) === type;
}

const MAX_KEYS = 32;
/** Of all keys together: they are stored in the domain's metadata. */
const MAX_KEYS_BYTES = 16 * KIB;
const sshKeys = z
  .array(
    printable(MAX_KEYS_BYTES).refine(
      isPublicKey,
      "must be an OpenSSH public key in one line: TYPE BASE64 [COMMENT]",
    ),
  )
  .max(MAX_KEYS, `must be at most ${MAX_KEYS}`)
  .refine(
    (keys) => keys.reduce((bytes, key) => bytes + Buffer.byteLength(key), 0) <= MAX_KEYS_BYTES,
    "must be at most 16 KiB together",
  );

/** Stored with the VM. */
export const cloudInit = z.strictObject({
  hostname: hostname
    .meta(help("The guest's host name. Default: the VM's name.", "web-1.example.com"))
    .exactOptional(),
  sshKeys: sshKeys
    .meta(
      help("Public keys for the image's default user.", [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0pEV9kFZIxzTS2wW8Qm3ZsU2eWc7fMlH1HqV8l8nKX ada@example.com",
      ]),
    )
    .default([]),
  pool: resourceName
    .meta(help("The pool of the seed volume. Default: that of the first new disk.", "default"))
    .exactOptional(),
});

const text = (maxKib: number) =>
  z
    .string()
    .refine((value) => Buffer.byteLength(value) <= maxKib * KIB, `must be at most ${maxKib} KiB`)
    .refine((value) => !value.includes("\0"), "must be text, without NUL characters");

/** Only the seed volume has them: they are never stored with the VM, shown or logged. */
export const seedSecrets = z.strictObject({
  userData: text(64)
    .meta(
      help(
        "cloud-init's user data (at most 64 KiB): #cloud-config, a script, or what else it reads. Secret.",
        '"#cloud-config\\ntimezone: UTC"',
      ),
    )
    .exactOptional(),
  networkConfig: text(16)
    .meta(
      help(
        "cloud-init's network configuration in YAML (at most 16 KiB). Default: DHCP on each NIC. Secret.",
        '"{version: 2, ethernets: {}}"',
      ),
    )
    .exactOptional(),
});
export type SeedSecrets = Immutable<z.output<typeof seedSecrets>>;
