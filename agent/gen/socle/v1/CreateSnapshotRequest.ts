// Original file: proto/socle/v1/snapshot.proto


export interface CreateSnapshotRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'name'?: (string);
  'description'?: (string);
  'quiesce'?: (boolean);
  'memory'?: (boolean);
}

export interface CreateSnapshotRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'name': (string);
  'description': (string);
  'quiesce': (boolean);
  'memory': (boolean);
}
