import { X509Certificate } from "node:crypto";
import { createSecureContext, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";
import { credentials, type ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import { chainOf, peerOf, requireValid, type Peer, type PeerRules, type Trust } from "../trust/index.ts";

/** For a connection of its own: the shared pool would give a hanging subchannel to the next client. */
export const channelOptions: ChannelOptions = {
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_channelz": 0,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.max_receive_message_length": 1024 * 1024,
};

/** The credentials of one contact with a scheduler, and their validity. */
export interface ContactCredentials {
  readonly channel: ChannelCredentials;
  /** The scheduler by its certificate, once received. */
  readonly peer: Peer | undefined;
  /** Why its certificate is refused; undefined before it was received. */
  readonly refusal: SocleError | undefined;
  /** Throws `denied` once the scheduler's certificate is revoked or has expired. */
  requireStillValid(): void;
}

/**
 * By the current certificates, read at each contact. The server must be a scheduler of this host's trust domain by its
 * certificate, whatever its address is named. Throws `unavailable` NOT_ENROLLED.
 */
export function contactCredentials(trust: Trust, clock: Clock): ContactCredentials {
  if (!trust.isRequired) {
    const channel = credentials.createInsecure();
    return { channel, peer: undefined, refusal: undefined, requireStillValid: () => undefined };
  }
  const { material } = trust;
  if (material === undefined) {
    const message = `this host has no certificate in use yet: ${trust.problem?.message ?? "it is being read"}`;
    throw new SocleError("unavailable", "NOT_ENROLLED", message);
  }
  return checkedCredentials(material.tls, () => trust.material ?? material, clock);
}

/** TLS whose peer must be an unscoped scheduler by `rules`, read at each check. */
export function checkedCredentials(
  tls: Parameters<typeof createSecureContext>[0],
  rules: () => PeerRules,
  clock: Clock,
): ContactCredentials {
  let peer: Peer | undefined;
  let refusal: SocleError | undefined;
  const checkServerIdentity = (_address: string, certificate: PeerCertificate): Error | undefined => {
    try {
      // It includes its issuers, despite the type.
      const chain = chainOf<DetailedPeerCertificate>(
        certificate as DetailedPeerCertificate,
        ({ raw }) => new X509Certificate(raw),
        ({ issuerCertificate }) => issuerCertificate,
      );
      peer = schedulerOf(chain, rules(), clock.now());
      return undefined;
    } catch (thrown) {
      refusal = toSocleError(thrown);
      return refusal;
    }
  };
  return {
    channel: credentials.createFromSecureContext(createSecureContext(tls), { checkServerIdentity }),
    get peer() {
      return peer;
    },
    get refusal() {
      return refusal;
    },
    requireStillValid() {
      if (peer !== undefined) requireValid(peer, rules(), clock.now());
    },
  };
}

function schedulerOf(chain: readonly X509Certificate[], rules: PeerRules, nowMs: number): Peer {
  const peer = peerOf(chain, rules, nowMs);
  if (peer.identity.role === "scheduler" && peer.identity.tenant === undefined) return peer;
  throw new SocleError("denied", "CERTIFICATE_ROLE", `${peer.identity.uri} is no scheduler of this cloud`);
}
