import { X509Certificate } from "node:crypto";
import { createSecureContext, type PeerCertificate } from "node:tls";
import { credentials, type ChannelCredentials } from "@grpc/grpc-js";
import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import { peerOf, requireValid, type Material, type Peer, type Trust } from "../trust/index.ts";

/** How one contact with a scheduler is made, and whether it may go on. */
export interface ContactCredentials {
  readonly channel: ChannelCredentials;
  /** The scheduler by its certificate, once it has shown one. */
  readonly peer: Peer | undefined;
  /** Throws `denied` once the certificate that the scheduler showed is revoked or has expired. */
  requireStillValid(): void;
}

/**
 * By the certificates as they are now: each contact asks again. Whoever answers must be a scheduler of this host's trust
 * domain, by its certificate; what its address is called says nothing. Throws `unavailable` NOT_ENROLLED.
 */
export function contactCredentials(trust: Trust, clock: Clock): ContactCredentials {
  if (!trust.isRequired)
    return { channel: credentials.createInsecure(), peer: undefined, requireStillValid: () => undefined };
  const { material } = trust;
  if (material === undefined) {
    const message = `this host has no certificate in use yet: ${trust.problem?.message ?? "it is being read"}`;
    throw new SocleError("unavailable", "NOT_ENROLLED", message);
  }
  let peer: Peer | undefined;
  const checkServerIdentity = (_address: string, { raw }: PeerCertificate): Error | undefined => {
    try {
      peer = schedulerOf(new X509Certificate(raw), material, clock.now());
      return undefined;
    } catch (thrown) {
      return toSocleError(thrown);
    }
  };
  return {
    channel: credentials.createFromSecureContext(createSecureContext(material.tls), { checkServerIdentity }),
    get peer() {
      return peer;
    },
    requireStillValid() {
      if (peer !== undefined) requireValid(peer, trust.material ?? material, clock.now());
    },
  };
}

function schedulerOf(certificate: X509Certificate, material: Material, nowMs: number): Peer {
  const peer = peerOf(certificate, material, nowMs);
  if (peer.identity.role === "scheduler" && peer.identity.tenant === undefined) return peer;
  throw new SocleError("denied", "CERTIFICATE_ROLE", `${peer.identity.uri} is no scheduler of this cloud`);
}
