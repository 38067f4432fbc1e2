// Original file: proto/socle/v1/snapshot.proto


export interface GetSnapshotRequest {
  'vm'?: (string);
  'snapshot'?: (string);
}

export interface GetSnapshotRequest__Output {
  'vm': (string);
  'snapshot': (string);
}
