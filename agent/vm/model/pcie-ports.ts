import type { Controller, DomainDevices } from "../../libvirt/xml/index.ts";

/** How many devices can be added to a running guest: libvirt adds no port to it. */
export const SPARE_PCIE_PORTS = 16;

/** Besides disks, NICs and devices of the host: the serial bus, the balloon and the random number generator. */
const OTHER_DEVICES = 3;

const MODEL = "pcie-root-port";

/** Of all CD-ROM drives: guests know it as they know virtio disks. */
export const scsiController: Controller = { type: "scsi", index: 0, model: "virtio-scsi" };

/** Without an index: libvirt chooses it. */
export const pciePort: Controller = { type: "pci", model: MODEL };

type Devices = Pick<DomainDevices, "disks" | "interfaces" | "hostDevices">;
type AllDevices = Devices & Pick<DomainDevices, "controllers" | "memoryDevices">;

const needed = ({
  disks,
  interfaces,
  hostDevices,
}: { readonly [Kind in keyof Devices]: readonly unknown[] }): number =>
  disks.length + interfaces.length + hostDevices.length + OTHER_DEVICES;

/** A port for each device that the VM begins with, and the spare ones. */
export const pcieControllers = (devices: Parameters<typeof needed>[0]): Controller[] => [
  { type: "pci", index: 0, model: "pcie-root" },
  ...Array.from({ length: needed(devices) + SPARE_PCIE_PORTS }, (_, index) => ({
    ...pciePort,
    index: index + 1,
  })),
];

/** How many ports have no device. Devices that another client added, with a bus of their own, may make it too low. */
export const freePciePorts = (devices: AllDevices): number =>
  devices.controllers.filter(({ model }) => model === MODEL).length -
  needed({ ...devices, disks: devices.disks.filter(({ target }) => target.bus === "virtio") }) -
  devices.controllers.filter(({ type }) => type === "scsi").length -
  devices.memoryDevices.filter(({ model }) => model === "virtio-mem").length;

/** The ports that a definition lacks for its devices and the spare ones; none on a machine without PCIe. */
export function missingPciePorts(devices: AllDevices): Controller[] {
  const { controllers } = devices;
  if (!controllers.some(({ model }) => model === "pcie-root")) return [];
  const missing = Math.max(0, SPARE_PCIE_PORTS - freePciePorts(devices));
  const taken = controllers.flatMap(({ type, index = 0, port }) =>
    type === "pci" ? [index, port?.chassis ?? 0] : [],
  );
  const last = Math.max(...taken);
  return Array.from({ length: missing }, (_, offset) => newPort(last + 1 + offset));
}

/** As libvirt numbers ports: it puts eight into a slot, from slot 1 on. QEMU refuses two with one chassis. */
const newPort = (index: number): Controller => ({
  ...pciePort,
  index,
  port: { device: MODEL, chassis: index, number: index + 7 },
});
