// Original file: proto/socle/v1/vm.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AttachDiskRequest as _socle_v1_AttachDiskRequest, AttachDiskRequest__Output as _socle_v1_AttachDiskRequest__Output } from '../../socle/v1/AttachDiskRequest.ts';
import type { AttachNicRequest as _socle_v1_AttachNicRequest, AttachNicRequest__Output as _socle_v1_AttachNicRequest__Output } from '../../socle/v1/AttachNicRequest.ts';
import type { AttachPciDeviceRequest as _socle_v1_AttachPciDeviceRequest, AttachPciDeviceRequest__Output as _socle_v1_AttachPciDeviceRequest__Output } from '../../socle/v1/AttachPciDeviceRequest.ts';
import type { ChangeMediaRequest as _socle_v1_ChangeMediaRequest, ChangeMediaRequest__Output as _socle_v1_ChangeMediaRequest__Output } from '../../socle/v1/ChangeMediaRequest.ts';
import type { ChangeSeedRequest as _socle_v1_ChangeSeedRequest, ChangeSeedRequest__Output as _socle_v1_ChangeSeedRequest__Output } from '../../socle/v1/ChangeSeedRequest.ts';
import type { ConsoleRequest as _socle_v1_ConsoleRequest, ConsoleRequest__Output as _socle_v1_ConsoleRequest__Output } from '../../socle/v1/ConsoleRequest.ts';
import type { ConsoleResponse as _socle_v1_ConsoleResponse, ConsoleResponse__Output as _socle_v1_ConsoleResponse__Output } from '../../socle/v1/ConsoleResponse.ts';
import type { CreateVmRequest as _socle_v1_CreateVmRequest, CreateVmRequest__Output as _socle_v1_CreateVmRequest__Output } from '../../socle/v1/CreateVmRequest.ts';
import type { DeleteVmRequest as _socle_v1_DeleteVmRequest, DeleteVmRequest__Output as _socle_v1_DeleteVmRequest__Output } from '../../socle/v1/DeleteVmRequest.ts';
import type { DetachDiskRequest as _socle_v1_DetachDiskRequest, DetachDiskRequest__Output as _socle_v1_DetachDiskRequest__Output } from '../../socle/v1/DetachDiskRequest.ts';
import type { DetachNicRequest as _socle_v1_DetachNicRequest, DetachNicRequest__Output as _socle_v1_DetachNicRequest__Output } from '../../socle/v1/DetachNicRequest.ts';
import type { DetachPciDeviceRequest as _socle_v1_DetachPciDeviceRequest, DetachPciDeviceRequest__Output as _socle_v1_DetachPciDeviceRequest__Output } from '../../socle/v1/DetachPciDeviceRequest.ts';
import type { DiscardSavedStateRequest as _socle_v1_DiscardSavedStateRequest, DiscardSavedStateRequest__Output as _socle_v1_DiscardSavedStateRequest__Output } from '../../socle/v1/DiscardSavedStateRequest.ts';
import type { DumpMemoryRequest as _socle_v1_DumpMemoryRequest, DumpMemoryRequest__Output as _socle_v1_DumpMemoryRequest__Output } from '../../socle/v1/DumpMemoryRequest.ts';
import type { GetVmRequest as _socle_v1_GetVmRequest, GetVmRequest__Output as _socle_v1_GetVmRequest__Output } from '../../socle/v1/GetVmRequest.ts';
import type { InjectNmiRequest as _socle_v1_InjectNmiRequest, InjectNmiRequest__Output as _socle_v1_InjectNmiRequest__Output } from '../../socle/v1/InjectNmiRequest.ts';
import type { ListVmsRequest as _socle_v1_ListVmsRequest, ListVmsRequest__Output as _socle_v1_ListVmsRequest__Output } from '../../socle/v1/ListVmsRequest.ts';
import type { ListVmsResponse as _socle_v1_ListVmsResponse, ListVmsResponse__Output as _socle_v1_ListVmsResponse__Output } from '../../socle/v1/ListVmsResponse.ts';
import type { MoveDiskRequest as _socle_v1_MoveDiskRequest, MoveDiskRequest__Output as _socle_v1_MoveDiskRequest__Output } from '../../socle/v1/MoveDiskRequest.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';
import type { PauseVmRequest as _socle_v1_PauseVmRequest, PauseVmRequest__Output as _socle_v1_PauseVmRequest__Output } from '../../socle/v1/PauseVmRequest.ts';
import type { RebootVmRequest as _socle_v1_RebootVmRequest, RebootVmRequest__Output as _socle_v1_RebootVmRequest__Output } from '../../socle/v1/RebootVmRequest.ts';
import type { RescueVmRequest as _socle_v1_RescueVmRequest, RescueVmRequest__Output as _socle_v1_RescueVmRequest__Output } from '../../socle/v1/RescueVmRequest.ts';
import type { ResizeDiskRequest as _socle_v1_ResizeDiskRequest, ResizeDiskRequest__Output as _socle_v1_ResizeDiskRequest__Output } from '../../socle/v1/ResizeDiskRequest.ts';
import type { ResumeVmRequest as _socle_v1_ResumeVmRequest, ResumeVmRequest__Output as _socle_v1_ResumeVmRequest__Output } from '../../socle/v1/ResumeVmRequest.ts';
import type { StartVmRequest as _socle_v1_StartVmRequest, StartVmRequest__Output as _socle_v1_StartVmRequest__Output } from '../../socle/v1/StartVmRequest.ts';
import type { StopVmRequest as _socle_v1_StopVmRequest, StopVmRequest__Output as _socle_v1_StopVmRequest__Output } from '../../socle/v1/StopVmRequest.ts';
import type { SuspendVmRequest as _socle_v1_SuspendVmRequest, SuspendVmRequest__Output as _socle_v1_SuspendVmRequest__Output } from '../../socle/v1/SuspendVmRequest.ts';
import type { UnrescueVmRequest as _socle_v1_UnrescueVmRequest, UnrescueVmRequest__Output as _socle_v1_UnrescueVmRequest__Output } from '../../socle/v1/UnrescueVmRequest.ts';
import type { UpdateDiskRequest as _socle_v1_UpdateDiskRequest, UpdateDiskRequest__Output as _socle_v1_UpdateDiskRequest__Output } from '../../socle/v1/UpdateDiskRequest.ts';
import type { UpdateNicRequest as _socle_v1_UpdateNicRequest, UpdateNicRequest__Output as _socle_v1_UpdateNicRequest__Output } from '../../socle/v1/UpdateNicRequest.ts';
import type { UpdateVmRequest as _socle_v1_UpdateVmRequest, UpdateVmRequest__Output as _socle_v1_UpdateVmRequest__Output } from '../../socle/v1/UpdateVmRequest.ts';
import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from '../../socle/v1/Vm.ts';
import type { WatchVmsRequest as _socle_v1_WatchVmsRequest, WatchVmsRequest__Output as _socle_v1_WatchVmsRequest__Output } from '../../socle/v1/WatchVmsRequest.ts';
import type { WatchVmsResponse as _socle_v1_WatchVmsResponse, WatchVmsResponse__Output as _socle_v1_WatchVmsResponse__Output } from '../../socle/v1/WatchVmsResponse.ts';

export interface VmServiceClient extends grpc.Client {
  AttachDisk(argument: _socle_v1_AttachDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachDisk(argument: _socle_v1_AttachDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachDisk(argument: _socle_v1_AttachDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachDisk(argument: _socle_v1_AttachDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachDisk(argument: _socle_v1_AttachDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachDisk(argument: _socle_v1_AttachDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachDisk(argument: _socle_v1_AttachDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachDisk(argument: _socle_v1_AttachDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  AttachNic(argument: _socle_v1_AttachNicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachNic(argument: _socle_v1_AttachNicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachNic(argument: _socle_v1_AttachNicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachNic(argument: _socle_v1_AttachNicRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachNic(argument: _socle_v1_AttachNicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachNic(argument: _socle_v1_AttachNicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachNic(argument: _socle_v1_AttachNicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachNic(argument: _socle_v1_AttachNicRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  AttachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  AttachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  attachPciDevice(argument: _socle_v1_AttachPciDeviceRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ChangeMedia(argument: _socle_v1_ChangeMediaRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ChangeMedia(argument: _socle_v1_ChangeMediaRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ChangeMedia(argument: _socle_v1_ChangeMediaRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ChangeMedia(argument: _socle_v1_ChangeMediaRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeMedia(argument: _socle_v1_ChangeMediaRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeMedia(argument: _socle_v1_ChangeMediaRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeMedia(argument: _socle_v1_ChangeMediaRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeMedia(argument: _socle_v1_ChangeMediaRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ChangeSeed(argument: _socle_v1_ChangeSeedRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ChangeSeed(argument: _socle_v1_ChangeSeedRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ChangeSeed(argument: _socle_v1_ChangeSeedRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ChangeSeed(argument: _socle_v1_ChangeSeedRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeSeed(argument: _socle_v1_ChangeSeedRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeSeed(argument: _socle_v1_ChangeSeedRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeSeed(argument: _socle_v1_ChangeSeedRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  changeSeed(argument: _socle_v1_ChangeSeedRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  Console(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_ConsoleRequest, _socle_v1_ConsoleResponse__Output>;
  Console(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_ConsoleRequest, _socle_v1_ConsoleResponse__Output>;
  console(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_ConsoleRequest, _socle_v1_ConsoleResponse__Output>;
  console(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_ConsoleRequest, _socle_v1_ConsoleResponse__Output>;
  
  CreateVm(argument: _socle_v1_CreateVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateVm(argument: _socle_v1_CreateVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateVm(argument: _socle_v1_CreateVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateVm(argument: _socle_v1_CreateVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVm(argument: _socle_v1_CreateVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVm(argument: _socle_v1_CreateVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVm(argument: _socle_v1_CreateVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVm(argument: _socle_v1_CreateVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DeleteVm(argument: _socle_v1_DeleteVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteVm(argument: _socle_v1_DeleteVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteVm(argument: _socle_v1_DeleteVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteVm(argument: _socle_v1_DeleteVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVm(argument: _socle_v1_DeleteVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVm(argument: _socle_v1_DeleteVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVm(argument: _socle_v1_DeleteVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVm(argument: _socle_v1_DeleteVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DetachDisk(argument: _socle_v1_DetachDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachDisk(argument: _socle_v1_DetachDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachDisk(argument: _socle_v1_DetachDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachDisk(argument: _socle_v1_DetachDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachDisk(argument: _socle_v1_DetachDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachDisk(argument: _socle_v1_DetachDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachDisk(argument: _socle_v1_DetachDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachDisk(argument: _socle_v1_DetachDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DetachNic(argument: _socle_v1_DetachNicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachNic(argument: _socle_v1_DetachNicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachNic(argument: _socle_v1_DetachNicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachNic(argument: _socle_v1_DetachNicRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachNic(argument: _socle_v1_DetachNicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachNic(argument: _socle_v1_DetachNicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachNic(argument: _socle_v1_DetachNicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachNic(argument: _socle_v1_DetachNicRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DetachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DetachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  detachPciDevice(argument: _socle_v1_DetachPciDeviceRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DiscardSavedState(argument: _socle_v1_DiscardSavedStateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DiscardSavedState(argument: _socle_v1_DiscardSavedStateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DiscardSavedState(argument: _socle_v1_DiscardSavedStateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DiscardSavedState(argument: _socle_v1_DiscardSavedStateRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  discardSavedState(argument: _socle_v1_DiscardSavedStateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  discardSavedState(argument: _socle_v1_DiscardSavedStateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  discardSavedState(argument: _socle_v1_DiscardSavedStateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  discardSavedState(argument: _socle_v1_DiscardSavedStateRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DumpMemory(argument: _socle_v1_DumpMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DumpMemory(argument: _socle_v1_DumpMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DumpMemory(argument: _socle_v1_DumpMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DumpMemory(argument: _socle_v1_DumpMemoryRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  dumpMemory(argument: _socle_v1_DumpMemoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  dumpMemory(argument: _socle_v1_DumpMemoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  dumpMemory(argument: _socle_v1_DumpMemoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  dumpMemory(argument: _socle_v1_DumpMemoryRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  GetVm(argument: _socle_v1_GetVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  GetVm(argument: _socle_v1_GetVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  GetVm(argument: _socle_v1_GetVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  GetVm(argument: _socle_v1_GetVmRequest, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  getVm(argument: _socle_v1_GetVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  getVm(argument: _socle_v1_GetVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  getVm(argument: _socle_v1_GetVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  getVm(argument: _socle_v1_GetVmRequest, callback: grpc.requestCallback<_socle_v1_Vm__Output>): grpc.ClientUnaryCall;
  
  InjectNmi(argument: _socle_v1_InjectNmiRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  InjectNmi(argument: _socle_v1_InjectNmiRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  InjectNmi(argument: _socle_v1_InjectNmiRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  InjectNmi(argument: _socle_v1_InjectNmiRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  injectNmi(argument: _socle_v1_InjectNmiRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  injectNmi(argument: _socle_v1_InjectNmiRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  injectNmi(argument: _socle_v1_InjectNmiRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  injectNmi(argument: _socle_v1_InjectNmiRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ListVms(argument: _socle_v1_ListVmsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  ListVms(argument: _socle_v1_ListVmsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  ListVms(argument: _socle_v1_ListVmsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  ListVms(argument: _socle_v1_ListVmsRequest, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  listVms(argument: _socle_v1_ListVmsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  listVms(argument: _socle_v1_ListVmsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  listVms(argument: _socle_v1_ListVmsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  listVms(argument: _socle_v1_ListVmsRequest, callback: grpc.requestCallback<_socle_v1_ListVmsResponse__Output>): grpc.ClientUnaryCall;
  
  MoveDisk(argument: _socle_v1_MoveDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  MoveDisk(argument: _socle_v1_MoveDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  MoveDisk(argument: _socle_v1_MoveDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  MoveDisk(argument: _socle_v1_MoveDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  moveDisk(argument: _socle_v1_MoveDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  moveDisk(argument: _socle_v1_MoveDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  moveDisk(argument: _socle_v1_MoveDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  moveDisk(argument: _socle_v1_MoveDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  PauseVm(argument: _socle_v1_PauseVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  PauseVm(argument: _socle_v1_PauseVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  PauseVm(argument: _socle_v1_PauseVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  PauseVm(argument: _socle_v1_PauseVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  pauseVm(argument: _socle_v1_PauseVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  pauseVm(argument: _socle_v1_PauseVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  pauseVm(argument: _socle_v1_PauseVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  pauseVm(argument: _socle_v1_PauseVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  RebootVm(argument: _socle_v1_RebootVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RebootVm(argument: _socle_v1_RebootVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RebootVm(argument: _socle_v1_RebootVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RebootVm(argument: _socle_v1_RebootVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rebootVm(argument: _socle_v1_RebootVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rebootVm(argument: _socle_v1_RebootVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rebootVm(argument: _socle_v1_RebootVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rebootVm(argument: _socle_v1_RebootVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  RescueVm(argument: _socle_v1_RescueVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RescueVm(argument: _socle_v1_RescueVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RescueVm(argument: _socle_v1_RescueVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RescueVm(argument: _socle_v1_RescueVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rescueVm(argument: _socle_v1_RescueVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rescueVm(argument: _socle_v1_RescueVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rescueVm(argument: _socle_v1_RescueVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  rescueVm(argument: _socle_v1_RescueVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ResizeDisk(argument: _socle_v1_ResizeDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResizeDisk(argument: _socle_v1_ResizeDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResizeDisk(argument: _socle_v1_ResizeDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResizeDisk(argument: _socle_v1_ResizeDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeDisk(argument: _socle_v1_ResizeDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeDisk(argument: _socle_v1_ResizeDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeDisk(argument: _socle_v1_ResizeDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeDisk(argument: _socle_v1_ResizeDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ResumeVm(argument: _socle_v1_ResumeVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResumeVm(argument: _socle_v1_ResumeVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResumeVm(argument: _socle_v1_ResumeVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResumeVm(argument: _socle_v1_ResumeVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resumeVm(argument: _socle_v1_ResumeVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resumeVm(argument: _socle_v1_ResumeVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resumeVm(argument: _socle_v1_ResumeVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resumeVm(argument: _socle_v1_ResumeVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  StartVm(argument: _socle_v1_StartVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  StartVm(argument: _socle_v1_StartVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  StartVm(argument: _socle_v1_StartVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  StartVm(argument: _socle_v1_StartVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  startVm(argument: _socle_v1_StartVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  startVm(argument: _socle_v1_StartVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  startVm(argument: _socle_v1_StartVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  startVm(argument: _socle_v1_StartVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  StopVm(argument: _socle_v1_StopVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  StopVm(argument: _socle_v1_StopVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  StopVm(argument: _socle_v1_StopVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  StopVm(argument: _socle_v1_StopVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  stopVm(argument: _socle_v1_StopVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  stopVm(argument: _socle_v1_StopVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  stopVm(argument: _socle_v1_StopVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  stopVm(argument: _socle_v1_StopVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  SuspendVm(argument: _socle_v1_SuspendVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  SuspendVm(argument: _socle_v1_SuspendVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  SuspendVm(argument: _socle_v1_SuspendVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  SuspendVm(argument: _socle_v1_SuspendVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  suspendVm(argument: _socle_v1_SuspendVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  suspendVm(argument: _socle_v1_SuspendVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  suspendVm(argument: _socle_v1_SuspendVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  suspendVm(argument: _socle_v1_SuspendVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  UnrescueVm(argument: _socle_v1_UnrescueVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UnrescueVm(argument: _socle_v1_UnrescueVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UnrescueVm(argument: _socle_v1_UnrescueVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UnrescueVm(argument: _socle_v1_UnrescueVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  unrescueVm(argument: _socle_v1_UnrescueVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  unrescueVm(argument: _socle_v1_UnrescueVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  unrescueVm(argument: _socle_v1_UnrescueVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  unrescueVm(argument: _socle_v1_UnrescueVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  UpdateDisk(argument: _socle_v1_UpdateDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateDisk(argument: _socle_v1_UpdateDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateDisk(argument: _socle_v1_UpdateDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateDisk(argument: _socle_v1_UpdateDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateDisk(argument: _socle_v1_UpdateDiskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateDisk(argument: _socle_v1_UpdateDiskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateDisk(argument: _socle_v1_UpdateDiskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateDisk(argument: _socle_v1_UpdateDiskRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  UpdateNic(argument: _socle_v1_UpdateNicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateNic(argument: _socle_v1_UpdateNicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateNic(argument: _socle_v1_UpdateNicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateNic(argument: _socle_v1_UpdateNicRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateNic(argument: _socle_v1_UpdateNicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateNic(argument: _socle_v1_UpdateNicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateNic(argument: _socle_v1_UpdateNicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateNic(argument: _socle_v1_UpdateNicRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  UpdateVm(argument: _socle_v1_UpdateVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateVm(argument: _socle_v1_UpdateVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateVm(argument: _socle_v1_UpdateVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  UpdateVm(argument: _socle_v1_UpdateVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateVm(argument: _socle_v1_UpdateVmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateVm(argument: _socle_v1_UpdateVmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateVm(argument: _socle_v1_UpdateVmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  updateVm(argument: _socle_v1_UpdateVmRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  WatchVms(argument: _socle_v1_WatchVmsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_WatchVmsResponse__Output>;
  WatchVms(argument: _socle_v1_WatchVmsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_WatchVmsResponse__Output>;
  watchVms(argument: _socle_v1_WatchVmsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_WatchVmsResponse__Output>;
  watchVms(argument: _socle_v1_WatchVmsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_WatchVmsResponse__Output>;
  
}

export interface VmServiceHandlers extends grpc.UntypedServiceImplementation {
  AttachDisk: grpc.handleUnaryCall<_socle_v1_AttachDiskRequest__Output, _socle_v1_Operation>;
  
  AttachNic: grpc.handleUnaryCall<_socle_v1_AttachNicRequest__Output, _socle_v1_Operation>;
  
  AttachPciDevice: grpc.handleUnaryCall<_socle_v1_AttachPciDeviceRequest__Output, _socle_v1_Operation>;
  
  ChangeMedia: grpc.handleUnaryCall<_socle_v1_ChangeMediaRequest__Output, _socle_v1_Operation>;
  
  ChangeSeed: grpc.handleUnaryCall<_socle_v1_ChangeSeedRequest__Output, _socle_v1_Operation>;
  
  Console: grpc.handleBidiStreamingCall<_socle_v1_ConsoleRequest__Output, _socle_v1_ConsoleResponse>;
  
  CreateVm: grpc.handleUnaryCall<_socle_v1_CreateVmRequest__Output, _socle_v1_Operation>;
  
  DeleteVm: grpc.handleUnaryCall<_socle_v1_DeleteVmRequest__Output, _socle_v1_Operation>;
  
  DetachDisk: grpc.handleUnaryCall<_socle_v1_DetachDiskRequest__Output, _socle_v1_Operation>;
  
  DetachNic: grpc.handleUnaryCall<_socle_v1_DetachNicRequest__Output, _socle_v1_Operation>;
  
  DetachPciDevice: grpc.handleUnaryCall<_socle_v1_DetachPciDeviceRequest__Output, _socle_v1_Operation>;
  
  DiscardSavedState: grpc.handleUnaryCall<_socle_v1_DiscardSavedStateRequest__Output, _socle_v1_Operation>;
  
  DumpMemory: grpc.handleUnaryCall<_socle_v1_DumpMemoryRequest__Output, _socle_v1_Operation>;
  
  GetVm: grpc.handleUnaryCall<_socle_v1_GetVmRequest__Output, _socle_v1_Vm>;
  
  InjectNmi: grpc.handleUnaryCall<_socle_v1_InjectNmiRequest__Output, _socle_v1_Operation>;
  
  ListVms: grpc.handleUnaryCall<_socle_v1_ListVmsRequest__Output, _socle_v1_ListVmsResponse>;
  
  MoveDisk: grpc.handleUnaryCall<_socle_v1_MoveDiskRequest__Output, _socle_v1_Operation>;
  
  PauseVm: grpc.handleUnaryCall<_socle_v1_PauseVmRequest__Output, _socle_v1_Operation>;
  
  RebootVm: grpc.handleUnaryCall<_socle_v1_RebootVmRequest__Output, _socle_v1_Operation>;
  
  RescueVm: grpc.handleUnaryCall<_socle_v1_RescueVmRequest__Output, _socle_v1_Operation>;
  
  ResizeDisk: grpc.handleUnaryCall<_socle_v1_ResizeDiskRequest__Output, _socle_v1_Operation>;
  
  ResumeVm: grpc.handleUnaryCall<_socle_v1_ResumeVmRequest__Output, _socle_v1_Operation>;
  
  StartVm: grpc.handleUnaryCall<_socle_v1_StartVmRequest__Output, _socle_v1_Operation>;
  
  StopVm: grpc.handleUnaryCall<_socle_v1_StopVmRequest__Output, _socle_v1_Operation>;
  
  SuspendVm: grpc.handleUnaryCall<_socle_v1_SuspendVmRequest__Output, _socle_v1_Operation>;
  
  UnrescueVm: grpc.handleUnaryCall<_socle_v1_UnrescueVmRequest__Output, _socle_v1_Operation>;
  
  UpdateDisk: grpc.handleUnaryCall<_socle_v1_UpdateDiskRequest__Output, _socle_v1_Operation>;
  
  UpdateNic: grpc.handleUnaryCall<_socle_v1_UpdateNicRequest__Output, _socle_v1_Operation>;
  
  UpdateVm: grpc.handleUnaryCall<_socle_v1_UpdateVmRequest__Output, _socle_v1_Operation>;
  
  WatchVms: grpc.handleServerStreamingCall<_socle_v1_WatchVmsRequest__Output, _socle_v1_WatchVmsResponse>;
  
}

export interface VmServiceDefinition extends grpc.ServiceDefinition {
  AttachDisk: MethodDefinition<_socle_v1_AttachDiskRequest, _socle_v1_Operation, _socle_v1_AttachDiskRequest__Output, _socle_v1_Operation__Output>
  AttachNic: MethodDefinition<_socle_v1_AttachNicRequest, _socle_v1_Operation, _socle_v1_AttachNicRequest__Output, _socle_v1_Operation__Output>
  AttachPciDevice: MethodDefinition<_socle_v1_AttachPciDeviceRequest, _socle_v1_Operation, _socle_v1_AttachPciDeviceRequest__Output, _socle_v1_Operation__Output>
  ChangeMedia: MethodDefinition<_socle_v1_ChangeMediaRequest, _socle_v1_Operation, _socle_v1_ChangeMediaRequest__Output, _socle_v1_Operation__Output>
  ChangeSeed: MethodDefinition<_socle_v1_ChangeSeedRequest, _socle_v1_Operation, _socle_v1_ChangeSeedRequest__Output, _socle_v1_Operation__Output>
  Console: MethodDefinition<_socle_v1_ConsoleRequest, _socle_v1_ConsoleResponse, _socle_v1_ConsoleRequest__Output, _socle_v1_ConsoleResponse__Output>
  CreateVm: MethodDefinition<_socle_v1_CreateVmRequest, _socle_v1_Operation, _socle_v1_CreateVmRequest__Output, _socle_v1_Operation__Output>
  DeleteVm: MethodDefinition<_socle_v1_DeleteVmRequest, _socle_v1_Operation, _socle_v1_DeleteVmRequest__Output, _socle_v1_Operation__Output>
  DetachDisk: MethodDefinition<_socle_v1_DetachDiskRequest, _socle_v1_Operation, _socle_v1_DetachDiskRequest__Output, _socle_v1_Operation__Output>
  DetachNic: MethodDefinition<_socle_v1_DetachNicRequest, _socle_v1_Operation, _socle_v1_DetachNicRequest__Output, _socle_v1_Operation__Output>
  DetachPciDevice: MethodDefinition<_socle_v1_DetachPciDeviceRequest, _socle_v1_Operation, _socle_v1_DetachPciDeviceRequest__Output, _socle_v1_Operation__Output>
  DiscardSavedState: MethodDefinition<_socle_v1_DiscardSavedStateRequest, _socle_v1_Operation, _socle_v1_DiscardSavedStateRequest__Output, _socle_v1_Operation__Output>
  DumpMemory: MethodDefinition<_socle_v1_DumpMemoryRequest, _socle_v1_Operation, _socle_v1_DumpMemoryRequest__Output, _socle_v1_Operation__Output>
  GetVm: MethodDefinition<_socle_v1_GetVmRequest, _socle_v1_Vm, _socle_v1_GetVmRequest__Output, _socle_v1_Vm__Output>
  InjectNmi: MethodDefinition<_socle_v1_InjectNmiRequest, _socle_v1_Operation, _socle_v1_InjectNmiRequest__Output, _socle_v1_Operation__Output>
  ListVms: MethodDefinition<_socle_v1_ListVmsRequest, _socle_v1_ListVmsResponse, _socle_v1_ListVmsRequest__Output, _socle_v1_ListVmsResponse__Output>
  MoveDisk: MethodDefinition<_socle_v1_MoveDiskRequest, _socle_v1_Operation, _socle_v1_MoveDiskRequest__Output, _socle_v1_Operation__Output>
  PauseVm: MethodDefinition<_socle_v1_PauseVmRequest, _socle_v1_Operation, _socle_v1_PauseVmRequest__Output, _socle_v1_Operation__Output>
  RebootVm: MethodDefinition<_socle_v1_RebootVmRequest, _socle_v1_Operation, _socle_v1_RebootVmRequest__Output, _socle_v1_Operation__Output>
  RescueVm: MethodDefinition<_socle_v1_RescueVmRequest, _socle_v1_Operation, _socle_v1_RescueVmRequest__Output, _socle_v1_Operation__Output>
  ResizeDisk: MethodDefinition<_socle_v1_ResizeDiskRequest, _socle_v1_Operation, _socle_v1_ResizeDiskRequest__Output, _socle_v1_Operation__Output>
  ResumeVm: MethodDefinition<_socle_v1_ResumeVmRequest, _socle_v1_Operation, _socle_v1_ResumeVmRequest__Output, _socle_v1_Operation__Output>
  StartVm: MethodDefinition<_socle_v1_StartVmRequest, _socle_v1_Operation, _socle_v1_StartVmRequest__Output, _socle_v1_Operation__Output>
  StopVm: MethodDefinition<_socle_v1_StopVmRequest, _socle_v1_Operation, _socle_v1_StopVmRequest__Output, _socle_v1_Operation__Output>
  SuspendVm: MethodDefinition<_socle_v1_SuspendVmRequest, _socle_v1_Operation, _socle_v1_SuspendVmRequest__Output, _socle_v1_Operation__Output>
  UnrescueVm: MethodDefinition<_socle_v1_UnrescueVmRequest, _socle_v1_Operation, _socle_v1_UnrescueVmRequest__Output, _socle_v1_Operation__Output>
  UpdateDisk: MethodDefinition<_socle_v1_UpdateDiskRequest, _socle_v1_Operation, _socle_v1_UpdateDiskRequest__Output, _socle_v1_Operation__Output>
  UpdateNic: MethodDefinition<_socle_v1_UpdateNicRequest, _socle_v1_Operation, _socle_v1_UpdateNicRequest__Output, _socle_v1_Operation__Output>
  UpdateVm: MethodDefinition<_socle_v1_UpdateVmRequest, _socle_v1_Operation, _socle_v1_UpdateVmRequest__Output, _socle_v1_Operation__Output>
  WatchVms: MethodDefinition<_socle_v1_WatchVmsRequest, _socle_v1_WatchVmsResponse, _socle_v1_WatchVmsRequest__Output, _socle_v1_WatchVmsResponse__Output>
}
