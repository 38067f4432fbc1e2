import { SocleError } from "../../kernel/errors.ts";

/**
 * libvirt saves that a domain has a job, and only later what the job is. A libvirtd that ends between the two holds an empty job
 * of the domain when it is back: it ends at a restart of libvirtd while the guest is off, or without libvirt's record of it.
 */
const WAY_OUT =
  "libvirt may hold a job of this VM that it lost when it ended. If this lasts and no backup of the VM is open, restart libvirtd while " +
  'the VM is off, or see "A job that libvirt does not end" in the operator\'s manual';

/** The thread of libvirt that takes up the jobs of before a restart. */
const FROM_BEFORE = /monitor=init-/;

/** The error with the way out, if libvirt waited in vain for a job that it had before a restart. */
export function withWayOut(error: SocleError): SocleError {
  const { kind, reason, message, details } = error;
  if (!FROM_BEFORE.test(message)) return error;
  return new SocleError(kind, reason, `${message}: ${WAY_OUT}`, { cause: error, details });
}

/** For a domain with a job that libvirt cannot describe. */
export const jobStuck = (cause: SocleError): SocleError =>
  new SocleError("conflict", "VM_JOB_STUCK", `${WAY_OUT} (${cause.message})`, { cause });
