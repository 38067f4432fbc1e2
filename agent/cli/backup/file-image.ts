import type { ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import { encryptedBytes, encryptedImage } from "../../kernel/qcow2/encrypted-image.ts";
import { makeLuks } from "../../kernel/qcow2/luks.ts";
import { imageBytes, qcow2Image, type Backing, type ReadCluster } from "../../kernel/qcow2/qcow2-image.ts";
import type { StoredDisk } from "./manifest.ts";

export interface FileImage {
  readonly chunks: AsyncIterable<Buffer>;
  readonly sizeBytes: number;
  /** For the manifest. */
  readonly encryption: Pick<StoredDisk, "encryption">;
}

/** The file of a disk: a qcow2 image, encrypted if there is a passphrase, with a key of its own. */
export async function fileImage(
  map: ClusterMap,
  readCluster: ReadCluster,
  {
    backing,
    passphrase,
  }: { readonly backing?: Backing | undefined; readonly passphrase: Buffer | undefined },
): Promise<FileImage> {
  const plain = qcow2Image(map, readCluster, backing);
  const plainBytes = imageBytes(map);
  if (passphrase === undefined) return { chunks: plain, sizeBytes: plainBytes, encryption: {} };
  const chunks = encryptedImage(plainBytes, plain, await makeLuks(passphrase, "chosenByPeople"));
  return { chunks, sizeBytes: encryptedBytes(plainBytes), encryption: { encryption: "luks" } };
}
