import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Image__Output } from "../../agent/gen/socle/v1/Image.ts";
import type { ImportImageRequest } from "../../agent/gen/socle/v1/ImportImageRequest.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { Authority } from "../scheduler/authority.ts";
import type { AgentProcessOptions } from "../support/agent-process.ts";
import { ImageServer } from "../support/image-server.ts";
import { socleCommand } from "../support/programs.ts";
import { SocleHost } from "../support/socle-host.ts";

export const run = promisify(execFile);
export const MIB = 2 ** 20;

export type ImageStage = Awaited<ReturnType<typeof imageStage>>;

/** A host that may import from this machine, image servers, and an image. */
export async function imageStage(agentOptions: AgentProcessOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), "socle-images-"));
  const server = await ImageServer.start();
  const authority = await Authority.make("images.example");
  const names = [{ type: "dns", value: "localhost" } as const];
  const { certificatePem: cert, keyPem: key } = await authority.issue("server/images", { names });
  /** Over https, with a certificate of an authority that only this host trusts. */
  const secured = await ImageServer.start({ cert, key });
  const authorities = join(directory, "authorities.pem");
  await writeFile(authorities, authority.certificatePem);
  const host = await SocleHost.start({
    ...agentOptions,
    config: { images: { pool: "images", allowHttp: true, allowPrivateAddresses: true, authorities } },
  });
  // The boot sector in a qcow2 image with a disk of 64 MiB and 4 MiB of data.
  const [raw, made] = [join(directory, "boot.raw"), join(directory, "boot.qcow2")];
  await run("sh", ["-c", `cp ${host.files.bootSector} ${raw}; truncate -s 64M ${raw}`]);
  await run("dd", ["if=/dev/urandom", `of=${raw}`, "bs=1M", "seek=1", "count=4", "conv=notrunc"]);
  await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, made]);
  const bootable = await readFile(made);

  const begin = (request: ImportImageRequest): Promise<Operation__Output> =>
    host.client.ask(host.client.contract.images.ImportImage, { requestId: randomUUID(), ...request });
  return {
    directory,
    server,
    secured,
    host,
    bootable,
    begin,
    importImage: async (request: ImportImageRequest): Promise<Operation__Output> =>
      await host.end(await begin(request)),
    list: async (): Promise<Image__Output[]> =>
      (await host.client.ask(host.client.contract.images.ListImages, {})).images,
    get: (image: string): Promise<Image__Output> =>
      host.client.ask(host.client.contract.images.GetImage, { image }),
    remove: async (image: string): Promise<Operation__Output> =>
      await host.end(
        await host.client.ask(host.client.contract.images.DeleteImage, { requestId: randomUUID(), image }),
      ),
    reasonOf: async (work: Promise<Operation__Output>): Promise<string | undefined> =>
      await work.then(
        (operation) => host.failureOf(operation)?.reason,
        (thrown: unknown) => (thrown as { reason: string }).reason,
      ),
    imageVolumes: async (): Promise<string[]> =>
      (await host.volumes()).filter((name) => name.startsWith("socle-image-")),
    socle: async (...line: readonly string[]): Promise<string> => {
      const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
      const { stdout, stderr } = await run(process.execPath, [...socleCommand, ...line], { env });
      return `${stdout}${stderr}`;
    },
    async stop(): Promise<void> {
      await host.stop();
      await server.stop();
      await secured.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A VM with a disk over the image. */
export const over = (name: string, image: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  accelerator: "ACCELERATOR_TCG",
  disks: [{ name: "root", newVolume: { pool: "images", image } }],
});
