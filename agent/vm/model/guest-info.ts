import type { TypedParameter } from "../../libvirt/index.ts";

/** What a guest reports of itself. The guest decides what is in it: texts and lists are truncated. */
export interface GuestInfo {
  readonly agentVersion: string;
  readonly hostname: string;
  readonly os: {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly kernel: string;
  };
  readonly timezone: string;
  readonly timeMs?: number | undefined;
  readonly users: readonly { readonly name: string; readonly loginMs?: number | undefined }[];
  readonly filesystems: readonly {
    readonly mountPoint: string;
    readonly type: string;
    readonly totalBytes?: number | undefined;
    readonly usedBytes?: number | undefined;
  }[];
  readonly interfaces: readonly {
    readonly name: string;
    readonly mac: string;
    /** With the length of the prefix: 192.0.2.9/24. */
    readonly addresses: readonly string[];
  }[];
}

const MOST_ITEMS = 32;
const MOST_TEXT_LENGTH = 255;

/** Truncates a guest's text; control characters become spaces. */
export const guestText = (value: unknown): string =>
  typeof value === "string" ? value.slice(0, MOST_TEXT_LENGTH).replaceAll(/[\p{Cc}\p{Cs}]/gu, " ") : "";

/** Reads the result of virDomainGetGuestInfo. */
export function guestInfoOf(params: readonly TypedParameter[]): Omit<GuestInfo, "agentVersion" | "timeMs"> {
  const values = new Map(params.map(({ field, value }) => [field, value.value] as const));
  const text = (field: string): string => guestText(values.get(field));
  const number = (field: string): number | undefined => {
    const value = Number(values.get(field) ?? NaN);
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  };
  const each = <T>(list: string, read: (item: string) => T): T[] =>
    Array.from({ length: Math.min(number(`${list}.count`) ?? 0, MOST_ITEMS) }, (_, index) =>
      read(`${list}.${index}`),
    );
  return {
    hostname: text("hostname"),
    os: {
      id: text("os.id"),
      name: text("os.pretty-name") || text("os.name"),
      version: text("os.version-id"),
      kernel: text("os.kernel-release"),
    },
    timezone: text("timezone.name"),
    users: each("user", (user) => ({ name: text(`${user}.name`), loginMs: number(`${user}.login-time`) })),
    filesystems: each("fs", (fs) => ({
      mountPoint: text(`${fs}.mountpoint`),
      type: text(`${fs}.fstype`),
      totalBytes: number(`${fs}.total-bytes`),
      usedBytes: number(`${fs}.used-bytes`),
    })),
    interfaces: each("if", (nic) => ({
      name: text(`${nic}.name`),
      mac: text(`${nic}.hwaddr`),
      addresses: each(`${nic}.addr`, (at) => {
        const prefix = number(`${at}.prefix`);
        return `${text(`${at}.addr`)}${prefix === undefined ? "" : `/${prefix}`}`;
      }),
    })),
  };
}
