// Original file: proto/socle/v1/image.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DeleteImageRequest as _socle_v1_DeleteImageRequest, DeleteImageRequest__Output as _socle_v1_DeleteImageRequest__Output } from '../../socle/v1/DeleteImageRequest.ts';
import type { GetImageRequest as _socle_v1_GetImageRequest, GetImageRequest__Output as _socle_v1_GetImageRequest__Output } from '../../socle/v1/GetImageRequest.ts';
import type { Image as _socle_v1_Image, Image__Output as _socle_v1_Image__Output } from '../../socle/v1/Image.ts';
import type { ImportImageRequest as _socle_v1_ImportImageRequest, ImportImageRequest__Output as _socle_v1_ImportImageRequest__Output } from '../../socle/v1/ImportImageRequest.ts';
import type { ListImagesRequest as _socle_v1_ListImagesRequest, ListImagesRequest__Output as _socle_v1_ListImagesRequest__Output } from '../../socle/v1/ListImagesRequest.ts';
import type { ListImagesResponse as _socle_v1_ListImagesResponse, ListImagesResponse__Output as _socle_v1_ListImagesResponse__Output } from '../../socle/v1/ListImagesResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';
import type { UploadImageRequest as _socle_v1_UploadImageRequest, UploadImageRequest__Output as _socle_v1_UploadImageRequest__Output } from '../../socle/v1/UploadImageRequest.ts';

export interface ImageServiceClient extends grpc.Client {
  DeleteImage(argument: _socle_v1_DeleteImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteImage(argument: _socle_v1_DeleteImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteImage(argument: _socle_v1_DeleteImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteImage(argument: _socle_v1_DeleteImageRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteImage(argument: _socle_v1_DeleteImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteImage(argument: _socle_v1_DeleteImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteImage(argument: _socle_v1_DeleteImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteImage(argument: _socle_v1_DeleteImageRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  GetImage(argument: _socle_v1_GetImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  GetImage(argument: _socle_v1_GetImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  GetImage(argument: _socle_v1_GetImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  GetImage(argument: _socle_v1_GetImageRequest, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  getImage(argument: _socle_v1_GetImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  getImage(argument: _socle_v1_GetImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  getImage(argument: _socle_v1_GetImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  getImage(argument: _socle_v1_GetImageRequest, callback: grpc.requestCallback<_socle_v1_Image__Output>): grpc.ClientUnaryCall;
  
  ImportImage(argument: _socle_v1_ImportImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ImportImage(argument: _socle_v1_ImportImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ImportImage(argument: _socle_v1_ImportImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ImportImage(argument: _socle_v1_ImportImageRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  importImage(argument: _socle_v1_ImportImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  importImage(argument: _socle_v1_ImportImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  importImage(argument: _socle_v1_ImportImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  importImage(argument: _socle_v1_ImportImageRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ListImages(argument: _socle_v1_ListImagesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  ListImages(argument: _socle_v1_ListImagesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  ListImages(argument: _socle_v1_ListImagesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  ListImages(argument: _socle_v1_ListImagesRequest, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  listImages(argument: _socle_v1_ListImagesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  listImages(argument: _socle_v1_ListImagesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  listImages(argument: _socle_v1_ListImagesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  listImages(argument: _socle_v1_ListImagesRequest, callback: grpc.requestCallback<_socle_v1_ListImagesResponse__Output>): grpc.ClientUnaryCall;
  
  UploadImage(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_UploadImageRequest, _socle_v1_Operation__Output>;
  UploadImage(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_UploadImageRequest, _socle_v1_Operation__Output>;
  uploadImage(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_UploadImageRequest, _socle_v1_Operation__Output>;
  uploadImage(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_UploadImageRequest, _socle_v1_Operation__Output>;
  
}

export interface ImageServiceHandlers extends grpc.UntypedServiceImplementation {
  DeleteImage: grpc.handleUnaryCall<_socle_v1_DeleteImageRequest__Output, _socle_v1_Operation>;
  
  GetImage: grpc.handleUnaryCall<_socle_v1_GetImageRequest__Output, _socle_v1_Image>;
  
  ImportImage: grpc.handleUnaryCall<_socle_v1_ImportImageRequest__Output, _socle_v1_Operation>;
  
  ListImages: grpc.handleUnaryCall<_socle_v1_ListImagesRequest__Output, _socle_v1_ListImagesResponse>;
  
  UploadImage: grpc.handleBidiStreamingCall<_socle_v1_UploadImageRequest__Output, _socle_v1_Operation>;
  
}

export interface ImageServiceDefinition extends grpc.ServiceDefinition {
  DeleteImage: MethodDefinition<_socle_v1_DeleteImageRequest, _socle_v1_Operation, _socle_v1_DeleteImageRequest__Output, _socle_v1_Operation__Output>
  GetImage: MethodDefinition<_socle_v1_GetImageRequest, _socle_v1_Image, _socle_v1_GetImageRequest__Output, _socle_v1_Image__Output>
  ImportImage: MethodDefinition<_socle_v1_ImportImageRequest, _socle_v1_Operation, _socle_v1_ImportImageRequest__Output, _socle_v1_Operation__Output>
  ListImages: MethodDefinition<_socle_v1_ListImagesRequest, _socle_v1_ListImagesResponse, _socle_v1_ListImagesRequest__Output, _socle_v1_ListImagesResponse__Output>
  UploadImage: MethodDefinition<_socle_v1_UploadImageRequest, _socle_v1_Operation, _socle_v1_UploadImageRequest__Output, _socle_v1_Operation__Output>
}
