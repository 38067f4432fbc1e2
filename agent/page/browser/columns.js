import { bytes, rate, share } from "./format.js";
import { looks } from "./seats.js";

/** @typedef {import("./store.js").Vm} Vm */
/** @typedef {import("./store.js").Values} Values */

/**
 * @typedef {object} Column
 * @property {string} id with "of-" before it its class, by which narrow screens leave it out
 * @property {string} title
 * @property {(vm: Vm, values: Values | undefined) => string} text
 * @property {(vm: Vm, values: Values | undefined) => string | number} by what it is sorted by
 * @property {number} [channel] of the graph beside the text
 * @property {(vm: Vm) => number} [top] what the graph's full height means; else the highest that is seen
 * @property {boolean} [largestFirst]
 */

/** @param {number} index */
const value = (index) => (/** @type {Vm} */ _, /** @type {Values | undefined} */ values) =>
  values?.[index] ?? -1;

/** @type {readonly Column[]} */
export const COLUMNS = [
  { id: "name", title: "name", text: ({ name }) => name, by: ({ name }) => name },
  { id: "state", title: "state", text: (vm) => looks(vm).word, by: (vm) => looks(vm).word },
  {
    id: "cpu",
    title: "cpu",
    channel: 0,
    text: ({ vcpus }, values) => orDash(values?.[0], (cores) => share(cores, vcpus)),
    by: value(0),
    top: ({ vcpus }) => vcpus,
    largestFirst: true,
  },
  {
    id: "resident",
    title: "resident",
    channel: 1,
    text: (_, values) => orDash(values?.[1], bytes),
    by: value(1),
    top: ({ memoryBytes }) => memoryBytes,
    largestFirst: true,
  },
  {
    id: "disk",
    title: "disk",
    channel: 2,
    text: (_, values) => orDash(values?.[2], rate),
    by: value(2),
    largestFirst: true,
  },
  {
    id: "net",
    title: "network",
    channel: 3,
    text: (_, values) => orDash(values?.[3], rate),
    by: value(3),
    largestFirst: true,
  },
  {
    id: "vcpus",
    title: "vCPUs",
    text: ({ vcpus }) => String(vcpus),
    by: ({ vcpus }) => vcpus,
    largestFirst: true,
  },
  {
    id: "memory",
    title: "memory",
    text: ({ memoryBytes }) => bytes(memoryBytes),
    by: ({ memoryBytes }) => memoryBytes,
    largestFirst: true,
  },
  {
    id: "cell",
    title: "cell",
    text: ({ cells }) => (cells.length === 0 ? "any" : cells.join(", ")),
    by: ({ cells }) => cells[0] ?? -1,
  },
  {
    id: "tenant",
    title: "tenant",
    text: ({ tenant, managed }) => (managed ? tenant : "(unmanaged)"),
    by: ({ tenant }) => tenant,
  },
];

/** @param {number | null | undefined} known @param {(value: number) => string} words */
const orDash = (known, words) => (known === null || known === undefined ? "–" : words(known));
