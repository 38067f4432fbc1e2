// Original file: proto/socle/v1/snapshot.proto

import type { Snapshot as _socle_v1_Snapshot, Snapshot__Output as _socle_v1_Snapshot__Output } from '../../socle/v1/Snapshot.ts';

export interface ListSnapshotsResponse {
  'snapshots'?: (_socle_v1_Snapshot)[];
}

export interface ListSnapshotsResponse__Output {
  'snapshots': (_socle_v1_Snapshot__Output)[];
}
