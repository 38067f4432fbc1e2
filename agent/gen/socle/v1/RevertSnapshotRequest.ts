// Original file: proto/socle/v1/snapshot.proto


export interface RevertSnapshotRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'snapshot'?: (string);
  'force'?: (boolean);
  'discardMemory'?: (boolean);
}

export interface RevertSnapshotRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'snapshot': (string);
  'force': (boolean);
  'discardMemory': (boolean);
}
