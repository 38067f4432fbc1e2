// Original file: proto/socle/v1/snapshot.proto


export interface ListSnapshotsRequest {
  'vm'?: (string);
}

export interface ListSnapshotsRequest__Output {
  'vm': (string);
}
