// Writes the man pages and the bash completion into systemd/ from the parts they describe: the CLI's own commands, the
// configuration's schema and the metrics' collectors. A unit test fails while they are not what this writes.
//
//   node --import tsx scripts/gen-man.ts
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { bashCompletion } from "../agent/cli/commands/completion.ts";
import { exitCodeMeanings, exitCodes } from "../agent/cli/errors.ts";
import { buildProgram } from "../agent/cli/program.ts";
import { configKeys, type ConfigKey } from "../agent/config/keys.ts";
import { allCollectors } from "../agent/metrics/collectors/index.ts";

const systemd = join(import.meta.dirname, "..", "systemd");

/** By path under systemd/. */
export function generatedFiles(): Map<string, string> {
  const program = buildProgram("", () => () => Promise.resolve());
  return new Map([
    ["man/socle.1", socle(program)],
    ["man/socle-agent.8", agent()],
    ["man/socle-agent.yaml.5", configuration()],
    ["man/socle-metrics.7", metrics()],
    ["completion/socle.bash", bashCompletion(program)],
  ]);
}

/** roff, one request or line of text per entry. */
type Roff = readonly string[];

const page = (name: string, section: number, summary: string, body: Roff): string =>
  [
    `.TH ${name.toUpperCase().replaceAll("-", "\\-")} ${section} "" "Socle" "Socle manual"`,
    // Names of metrics and keys are not to be broken.
    ".nh",
    ".SH NAME",
    `${text(name)} \\- ${text(summary)}`,
    ...body,
    "",
  ].join("\n");

const text = (words: string): string =>
  words
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(['.])/, "\\&$1");
const bold = (words: string): string => `\\fB${text(words)}\\fR`;
const section = (title: string, ...body: Roff): string[] => [`.SH ${title}`, ...body];
const item = (term: string, ...words: Roff): string[] => [".TP", term, ...words.map(text)];
const paragraph = (...words: Roff): string[] => [".PP", ...words.map(text)];
const example = (...lines: Roff): string[] => [".PP", ".RS 4", ".nf", ...lines.map(text), ".fi", ".RE"];

function socle(program: Command): string {
  return page("socle", 1, "drive the VMs of this host through its Socle agent", [
    ...section("SYNOPSIS", `${bold("socle")} [options] command`),
    ...section(
      "DESCRIPTION",
      text(
        "Speaks to the agent of this host over its unix socket. Whoever may use the socket may do everything.",
      ),
      ...paragraph(
        "A change (vm create, start, stop ...) is an operation: the command shows its steps on standard error while it waits, and its outcome on standard output. Interrupting the command leaves the operation to go on.",
      ),
    ),
    ...section("OPTIONS", ...options(program)),
    ...section("COMMANDS", ...commands(program, [])),
    ...section(
      "OUTPUT FOR PROGRAMS",
      text(
        "With --json a command prints one JSON document, or a line each where something is followed. Fields and enums are named as in the contract (proto/socle/v1) in camel case; a Timestamp is RFC 3339, a Duration like 1.5s; numbers are numbers; absent messages are null. An error is a line of JSON on standard error: error.kind, reason, message, fields, metadata, retryAfterMs, exitCode.",
      ),
    ),
    ...section(
      "EXIT STATUS",
      ...Object.entries(exitCodes).flatMap(([name, code]) =>
        item(bold(String(code)), exitCodeMeanings[name as keyof typeof exitCodes]),
      ),
    ),
    ...section(
      "ENVIRONMENT",
      ...item(bold("SOCLE_SOCKET"), "The agent's socket, where --socket does not say it."),
      ...item(
        bold("NO_COLOR"),
        "No colours, where it is not empty. There are none either where the output is no terminal.",
      ),
    ),
    ...section(
      "EXAMPLES",
      ...example(
        "socle vm create --name web-1 --vcpus 2 \\",
        "  --memory 2GiB --nic default --label tier=front \\",
        "  --disk new:default:20GiB:debian-13.qcow2",
        "socle vm console web-1",
        "socle vm stop web-1 --grace 60s --force",
        "socle vm ls --json | jq -r '.vms[] |",
        '  select(.state == "VM_STATE_PAUSED").name\'',
        "socle events --since-start \\",
        "  --kind vm_state_changed",
      ),
    ),
    ...section(
      "SEE ALSO",
      "\\fBsocle\\-agent\\fR(8), \\fBsocle\\-agent.yaml\\fR(5), \\fBsocle\\-metrics\\fR(7)",
    ),
  ]);
}

function* commands(command: Command, path: readonly string[]): Generator<string> {
  for (const inner of command.commands) {
    const words = [...path, inner.name()];
    const given = inner.registeredArguments.map((argument) =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
    );
    const aliases = inner.aliases().length === 0 ? "" : ` (also ${inner.aliases().join(", ")})`;
    yield `.SS ${bold(["socle", ...words].join(" "))}${given.map((name) => ` ${text(name)}`).join("")}`;
    yield text(`${inner.description()}${aliases}`);
    yield* options(inner);
    yield* commands(inner, words);
  }
}

const options = (command: Command): string[] =>
  command.options.flatMap(({ flags, description, argChoices }) =>
    item(
      bold(flags),
      argChoices === undefined ? description : `${description} One of ${argChoices.join(", ")}.`,
    ),
  );

function agent(): string {
  return page("socle-agent", 8, "the agent that runs the VMs of a host", [
    ...section("SYNOPSIS", `${bold("socle agent")} [${bold("--config")} file]`),
    ...section(
      "DESCRIPTION",
      text(
        "Drives VMs through libvirt, reports the host to a scheduler over gRPC, and shows it to Prometheus. It runs as socle-agent.service, as the user socle in the group libvirt.",
      ),
      ...paragraph(
        "VMs belong to libvirt. Stopping, crashing or upgrading the agent touches no guest; VMs that Socle did not make are seen and counted, never changed. When it starts again it asks libvirt what became of the operations that were under way.",
      ),
    ),
    ...section(
      "SIGNALS",
      ...item(
        bold("SIGTERM, SIGINT"),
        "Stop in good order: operations under way get their time, guests run on.",
      ),
      ...item(bold("SIGHUP"), "Read the configuration again; what needs a restart is named in the log."),
      ...item(bold("SIGUSR1"), "Ignored: Node's debugger is not opened."),
    ),
    ...section(
      "CREDENTIALS",
      text(
        "The unit imports credentials named socle-* from the host's stores (systemd-creds(1)); a restart takes a new one into use. One that cannot be decrypted keeps systemd from starting the agent at all (exit status 243, of which socle doctor tells): try each with systemd-creds decrypt FILE - >/dev/null, encrypt the one that fails anew or move it away, and systemd starts the agent.",
      ),
      ...item(bold("socle-bmc-password"), "The password of bmc.user, where bmc.passwordFile is not set."),
      ...item(
        bold("socle-agent-key"),
        "The private key of agent.crt in trust.directory, instead of agent.key there.",
      ),
      ...item(
        bold("socle-enrollment-token"),
        "The token by which a host without a certificate enrolls by itself at trust.enrollAt.",
      ),
      ...item(
        bold("socle-volume-key"),
        "32 random bytes that seal the passphrases of encrypted disks, where vm.volumeKeyFile is not set.",
      ),
      ...example(
        "systemd-creds encrypt --with-key=host --name=socle-bmc-password - \\",
        "  /etc/credstore.encrypted/socle-bmc-password < password",
      ),
    ),
    ...section(
      "HARDWARE HELPER",
      text(
        "The kernel's log, the CPUs' energy, /dev/ipmi0 and smartctl are asked by socle-hardware.service, which is started by its socket when the agent asks. It has the capabilities for that and no network, no file of the host's and no other user. systemctl disable --now socle-hardware.socket switches it off: what rests on it is NotWatched. One that is enabled and fails is started again by the next question; what rests on it is Unknown until it answers.",
      ),
    ),
    ...section(
      "NETWORKS",
      text(
        "The unit lets the agent speak to this host and to private networks alone (IPAddressDeny=any). A scheduler, Prometheus, BMC, collector or name server elsewhere needs a drop-in with its IPAddressAllow=: systemctl edit socle-agent. What is not allowed times out.",
      ),
    ),
    ...section(
      "FILES",
      ...item(
        bold("/etc/socle/agent.yaml"),
        "The configuration. socle config show --example prints one to begin with.",
      ),
      ...item(
        bold("/run/socle/agent.sock"),
        "The API for this host's own operators: the group socle may use it.",
      ),
      ...item(bold("/run/socle-hardware.sock"), "The hardware helper's: the agent's user alone may use it."),
      ...item(bold("/var/lib/socle"), "The journal of operations, the events, the counters. Mode 0700."),
    ),
    ...section(
      "HTTP",
      text("On metrics.listen, to be read only:"),
      ...item(bold("/metrics"), "For Prometheus; see socle-metrics(7)."),
      ...item(bold("/healthz"), "200 while the process lives and its event loop turns."),
      ...item(
        bold("/readyz"),
        "200 when the agent is ready: it serves, and libvirt lists its VMs; 503 and the reasons, a line of JSON each, while it is not. Whether the host takes new VMs is not part of it: see socle_host_schedulable and socle health.",
      ),
    ),
    ...section(
      "EXIT STATUS",
      ...item(bold("0"), "It was told to stop and did."),
      ...item(
        bold("2"),
        "The command line or the configuration is not valid; starting it again will not help.",
      ),
      ...item(
        bold("other"),
        "It failed; standard error and the log (JSON lines on standard output) say why.",
      ),
    ),
    ...section(
      "SEE ALSO",
      "\\fBsocle\\fR(1), \\fBsocle\\-agent.yaml\\fR(5), \\fBsocle\\-metrics\\fR(7), \\fBlibvirtd\\fR(8)",
    ),
  ]);
}

function configuration(): string {
  const body: string[] = [];
  let current = "";
  const show = (path: string, key: Omit<ConfigKey, "section">): void => {
    const { description, defaultValue, allowed, inner } = key;
    const words = [description, allowed].filter((part) => part !== "").join(" ");
    const preset = defaultValue === undefined ? [] : [`Default: ${JSON.stringify(defaultValue)}`];
    body.push(...item(bold(path), words, ...preset.flatMap((line) => ["", line])));
    for (const below of inner) show(`${path}.${below.name}`, below);
  };
  for (const key of configKeys()) {
    if (key.section !== current) body.push(`.SS ${key.section}`);
    current = key.section;
    show(`${key.section}.${key.name}`, key);
  }
  return page("socle-agent.yaml", 5, "configuration of the Socle agent", [
    ...section(
      "DESCRIPTION",
      text(
        "/etc/socle/agent.yaml is YAML: sections of keys. Every key may be left out. Unknown keys and values that cannot be are refused when the agent starts; socle config check tells beforehand.",
      ),
    ),
    ...section("KEYS", ...body),
    ...section("SEE ALSO", "\\fBsocle\\-agent\\fR(8), \\fBsocle\\fR(1)"),
  ]);
}

function metrics(): string {
  const collectors = allCollectors();
  return page("socle-metrics", 7, "what the Socle agent shows to Prometheus", [
    ...section(
      "DESCRIPTION",
      text(
        "/metrics is served in the text format 0.0.4 and in OpenMetrics 1.0.0, whichever the scraper prefers. A scrape waits for nothing: it shows the latest observation. A value that could not be read, or is older than three sampling intervals, is left out and never zero.",
      ),
      ...paragraph(
        "Metrics come from collectors. One that fails costs its own metrics alone: socle_collector_success says which, socle_collector_duration_seconds how long each took, socle_collector_last_success_timestamp_seconds when what it last showed was read.",
      ),
      ...paragraph(
        "collect[]=NAME in the query asks for some collectors, exclude[]=NAME leaves some out, metrics.disabledCollectors in the configuration switches some off. VMs are labelled by uuid; socle_vm_info gives the rest: socle_vm_cpu_seconds_total * on (vm) group_left (name) socle_vm_info.",
      ),
    ),
    ...section(
      "COLLECTORS",
      ...collectors.flatMap(({ name, families }) => [
        `.SS ${text(name)}`,
        ...families
          .filter(({ name: metric }) => metric.startsWith("socle_"))
          .flatMap(({ name: metric, help, kind, labels }) =>
            item(`${bold(metric)}${labels.length === 0 ? "" : text(`{${labels.join(", ")}}`)} ${kind}`, help),
          ),
        ...(name === "process" ? [text("The agent's own process: process_* and nodejs_*.")] : []),
      ]),
    ),
    ...section("SEE ALSO", "\\fBsocle\\-agent\\fR(8)"),
  ]);
}

if (process.argv[1] === import.meta.filename) {
  for (const [path, content] of generatedFiles()) {
    await mkdir(join(systemd, path, ".."), { recursive: true });
    await writeFile(join(systemd, path), content);
  }
}
