import * as libvirt from "../../../../agent/libvirt/index.ts";
import { XdrReader } from "../../../../agent/libvirt/rpc/xdr.ts";
import type { RawFrame } from "../../frames.ts";
import type { Tap } from "../../proxy-connection.ts";
import type { EffectBegin, EffectCall, Recorder } from "../history.ts";
import { readXml, socleText, stampedOperation, stampIn, textAt, type Element } from "../model/element.ts";

/** A changing call, as recorded in a history. */
interface Watched {
  readonly procedure: libvirt.Procedure<unknown, unknown>;
  readonly call: EffectCall;
  readonly subject: (args: never) => Subject;
}

interface Subject {
  readonly vm?: string;
  readonly volume?: string;
  /** For a definition, and for written metadata. */
  readonly xml?: string;
  readonly uri?: string | null;
}

const watch = <A, R>(
  procedure: libvirt.Procedure<A, R>,
  call: EffectCall,
  subject: (args: A) => Subject,
): Watched => ({ procedure: procedure, call, subject });

const ofDomain = ({ dom }: { dom: libvirt.Domain }): Subject => ({ vm: dom.uuid });
const ofVolume = ({ vol }: { vol: libvirt.StorageVol }): Subject => ({ volume: `${vol.pool}/${vol.name}` });

const watched = new Map<number, Watched>(
  [
    watch(libvirt.domainDefineXmlFlags, "define", ({ xml }) => ({
      vm: textAt(readXml(xml, "domain"), "uuid") ?? "",
      xml,
    })),
    watch(libvirt.domainUndefineFlags, "undefine", ofDomain),
    watch(libvirt.domainCreateWithFlags, "start", ofDomain),
    watch(libvirt.domainDestroyFlags, "destroy", ofDomain),
    watch(libvirt.domainShutdownFlags, "shutdown", ofDomain),
    watch(libvirt.domainReboot, "reboot", ofDomain),
    watch(libvirt.domainReset, "reset", ofDomain),
    watch(libvirt.domainSuspend, "suspend", ofDomain),
    watch(libvirt.domainResume, "resume", ofDomain),
    watch(libvirt.domainSetMetadata, "set_metadata", ({ dom, metadata, uri }) => ({
      ...ofDomain({ dom }),
      uri,
      ...(metadata === null ? {} : { xml: metadata }),
    })),
    watch(libvirt.storageVolCreateXml, "volume_create", ({ pool, xml }) => ({
      volume: `${pool.name}/${textAt(readXml(xml, "volume"), "name") ?? ""}`,
    })),
    watch(libvirt.storageVolUpload, "volume_upload", ofVolume),
    watch(libvirt.storageVolResize, "volume_resize", ofVolume),
    watch(libvirt.storageVolWipePattern, "volume_wipe", ofVolume),
    watch(libvirt.storageVolDelete, "volume_delete", ofVolume),
    watch(libvirt.secretDefineXml, "secret_define", () => ({})),
    watch(libvirt.secretUndefine, "secret_undefine", () => ({})),
  ].map((each) => [each.procedure.number, each]),
);

/** Every recorded procedure. */
export const changingProcedures: ReadonlySet<number> = new Set(watched.keys());

/** A domain as the passed calls left it. */
interface Seen {
  instance?: string | undefined;
  tenant?: string | undefined;
  operation?: string | undefined;
  isDefined: boolean;
  isRunning: boolean;
  starts: number;
}

/** An effect that has begun and has no reply yet. */
interface Begun {
  readonly effect: number;
  readonly call: EffectCall;
  readonly subject: Subject;
}

/** libvirt's objects, to settle calls that were cut off: see `EffectLog.settle`. */
export interface Looked {
  readonly domains: ReadonlyMap<string, { readonly isRunning: boolean; readonly isPersistent: boolean }>;
  readonly volumes: ReadonlySet<string>;
}

/** Records every changing call to libvirt in the history, with its end. */
export class EffectLog {
  readonly #recorder: Recorder;
  readonly #domains = new Map<string, Seen>();
  /** Effects whose daemon or connection ended before the reply. */
  readonly #cutOff = new Set<Begun>();
  #effects = 0;
  #open = 0;
  /** Called after the reply to an effect of the agent, before the agent gets it. */
  onAnswered: ((call: EffectCall) => void) | undefined;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** For each connection of one proxy. `run`: the connecting agent's run. */
  tap(by: "agent" | "foreign", run: () => number | undefined): Tap {
    const begun = new Map<number, Begun>();
    const cutOff = this.#cutOff;
    const agentRun = run();
    return {
      get waiting() {
        return begun.size;
      },
      called: (frame) => {
        const found = watched.get(frame.procedure);
        if (found === undefined) return;
        const args = found.procedure.args.decode(new XdrReader(frame.body));
        begun.set(frame.serial, this.begin(found.call, found.subject(args as never), by, agentRun));
      },
      answered: (frame, isLost) => {
        const ended = begun.get(frame.serial);
        if (ended === undefined) return;
        begun.delete(frame.serial);
        this.end(ended, frame.isOk, isLost ? "lost" : frame.isOk ? "ok" : "error", errorOf(frame));
        if (by === "agent") this.onAnswered?.(ended.call);
      },
      ended() {
        for (const each of begun.values()) cutOff.add(each);
        begun.clear();
      },
    };
  }

  /** Effects that have begun and wait for libvirt's reply. */
  get open(): number {
    return this.#open - this.#cutOff.size;
  }

  begin(call: EffectCall, subject: Subject, by: EffectBegin["by"], agentRun?: number): Begun {
    const effect = (this.#effects += 1);
    this.#open += 1;
    const { vm, volume, xml, uri } = subject;
    const there = vm === undefined ? undefined : this.#domains.get(vm);
    const facts = call === "define" && xml !== undefined ? factsIn(readXml(xml, "domain")) : there;
    const { instance, operation, tenant } = facts ?? {};
    const stamp = stampIn(uri ?? null, xml ?? null);
    this.#recorder.add({
      event: "effect",
      effect,
      call,
      by,
      ...(agentRun === undefined ? {} : { agentRun }),
      ...(vm === undefined ? {} : { vm }),
      ...(volume === undefined ? {} : { volume }),
      ...(instance === undefined ? {} : { instance }),
      ...(operation === undefined ? {} : { operation }),
      ...(tenant === undefined || call !== "define" ? {} : { tenant }),
      ...(stamp === undefined ? {} : { stamp }),
      ...(there?.isRunning === true ? { guestRun: there.starts } : {}),
    });
    return { effect, call, subject };
  }

  end(
    { effect, call, subject }: Begun,
    changed: boolean,
    outcome: "ok" | "error" | "lost",
    error?: string,
  ): void {
    this.#open -= 1;
    if (changed) this.#follow(call, subject);
    this.#recorder.add({
      event: "effect_end",
      effect,
      outcome,
      changed,
      ...(error === undefined ? {} : { error }),
    });
  }

  /** Records that the guest ended by itself. */
  guestStopped(vm: string): void {
    this.end(this.begin("guest_stopped", { vm }, "foreign"), true, "ok");
  }

  isRunning(vm: string): boolean {
    return this.#domains.get(vm)?.isRunning === true;
  }

  /** Settles the calls that were cut off, once none of them can have a later effect. */
  settle({ domains, volumes }: Looked): void {
    for (const begun of this.#cutOff) {
      const { vm = "", volume } = begun.subject;
      const now = domains.get(vm);
      const before = this.#domains.get(vm);
      const happened = ((): boolean => {
        switch (begun.call) {
          case "define":
            return now?.isPersistent === true && before?.isDefined !== true;
          case "undefine":
            return before?.isDefined === true && now?.isPersistent !== true;
          case "start":
            return now?.isRunning === true && before?.isRunning !== true;
          case "destroy":
            return before?.isRunning === true && now?.isRunning !== true;
          case "volume_create":
            return volume !== undefined && volumes.has(volume);
          case "volume_delete":
            return volume !== undefined && !volumes.has(volume);
          default:
            return false;
        }
      })();
      this.end(begun, happened, "lost");
    }
    this.#cutOff.clear();
    // The new daemon ended this guest.
    for (const [vm, seen] of this.#domains)
      if (seen.isRunning && domains.get(vm)?.isRunning !== true) this.guestStopped(vm);
  }

  #follow(call: EffectCall, { vm, xml, uri }: Subject): void {
    if (vm === undefined) return;
    const seen = this.#domains.get(vm) ?? { isDefined: false, isRunning: false, starts: 0 };
    this.#domains.set(vm, seen);
    switch (call) {
      case "define":
        seen.isDefined = true;
        if (xml !== undefined) Object.assign(seen, factsIn(readXml(xml, "domain")));
        return;
      case "undefine":
        seen.isDefined = false;
        return;
      case "start":
        seen.isRunning = true;
        seen.starts += 1;
        return;
      case "destroy":
      case "guest_stopped":
        seen.isRunning = false;
        return;
      case "set_metadata":
        if (xml === undefined) return;
        seen.operation = stampIn(uri ?? null, xml)?.operation ?? seen.operation;
        if (uri === "urn:socle:vm:1") {
          const written = readXml(xml);
          seen.instance = textAt(written, "instance");
          seen.tenant = textAt(written, "tenant");
        }
        return;
      default:
    }
  }
}

const factsIn = (domain: Element): Pick<Seen, "instance" | "tenant" | "operation"> => ({
  instance: socleText(domain, "instance"),
  tenant: socleText(domain, "tenant"),
  operation: stampedOperation(domain),
});

/** The virErrorNumber of an error reply: the first field of its body. */
const errorOf = (frame: RawFrame): string | undefined =>
  frame.isOk ? undefined : `libvirt error ${frame.body.readInt32BE(0)}`;
