// Original file: proto/socle/v1/snapshot.proto


export interface DeleteSnapshotRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'snapshot'?: (string);
}

export interface DeleteSnapshotRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'snapshot': (string);
}
