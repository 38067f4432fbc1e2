import type { Behalf, Operation } from "../../state/operations/operation.ts";
import type { Users } from "../storage/volume-users.ts";
import type { Result } from "./definition.ts";
import type { Intent, OperationKind } from "./registry.ts";

/** A request to change an image or a volume. */
export interface OnSubject {
  readonly requestId: string;
  readonly behalf?: Behalf | undefined;
  /** Restricts the caller to this tenant. */
  readonly onlyTenant?: string | undefined;
  /** Check everything and change nothing. */
  readonly validateOnly?: boolean;
}

/** The admission of such a request. */
export interface SubjectWork {
  /** Finds out what libvirt knows; not for a repeated request. */
  readonly prepare?: () => Promise<void>;
  /** Makes the intent, in one step with what it holds. `key`: the operation's in the state (subject.ts). */
  readonly admit: (users: Users) => {
    readonly key: string;
    readonly tenant: string;
    readonly intent: Intent;
    /** For a request that only validates: checks what the run would, and returns what it would do. */
    readonly plan?: () => Promise<Result>;
  };
}

/** Of Vms, which runs the operations. */
export interface BeginsOn {
  beginOn(kind: OperationKind, request: OnSubject, caller: string, work: SubjectWork): Promise<Operation>;
}

export const noPlan = (): Promise<Result> => Promise.resolve({});
