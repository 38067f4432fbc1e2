/** QEMU's answer to query-block for a guest whose disks, by name, write to these files. */
export const blocksOf = (files: Readonly<Record<string, string>>): string =>
  JSON.stringify({
    return: [
      { device: "", qdev: "ua-cd", removable: true },
      ...Object.entries(files).map(([disk, file]) => ({
        device: "",
        qdev: `/machine/peripheral/ua-disk-${disk}/virtio-backend`,
        inserted: { file, ro: false, "node-name": "libvirt-1-format" },
      })),
    ],
    id: "libvirt-1",
  });
