// Original file: proto/socle/v1/screen.proto


export interface CreateScreenTicketRequest {
  'vm'?: (string);
}

export interface CreateScreenTicketRequest__Output {
  'vm': (string);
}
