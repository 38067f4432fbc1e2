import { defined } from "../../kernel/defined.ts";
import { invalidField } from "../../kernel/errors.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import type { Image as ProtoImage } from "../../gen/socle/v1/Image.ts";
import type { ImageServiceHandlers } from "../../gen/socle/v1/ImageService.ts";
import type { ListImagesRequest__Output } from "../../gen/socle/v1/ListImagesRequest.ts";
import type { ListImagesResponse } from "../../gen/socle/v1/ListImagesResponse.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import type { UploadImageRequest__Output } from "../../gen/socle/v1/UploadImageRequest.ts";
import { systemClock } from "../../kernel/clock.ts";
import { isDone } from "../../state/operations/operation.ts";
import { dataVolume, type Image } from "../../vm/images/image.ts";
import { isVisibleTo } from "../../vm/images/image-store.ts";
import type { VmView } from "../../vm/model/vm.ts";
import { uploadOf } from "../../vm/images/upload.ts";
import { imagesOf } from "../../vm/images/image-disks.ts";
import type { UploadRequest } from "../../vm/operations/images.ts";
import type { Caller } from "../auth/identity.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import { operationToProto } from "../convert/operation.ts";
import { nonEmpty } from "../convert/spec.ts";
import { toTimestamp } from "../convert/time.ts";
import { afterIdOf, convertPage, pageSize, pageToken } from "../limits/paging.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { CallContext, Methods } from "./handler.ts";
import { forCaller, requireTenant } from "./tenancy.ts";

const WAIT_MS = 300_000;

/** The VMs over an image that the caller sees. */
interface Use {
  readonly users: number;
  readonly usedAtMs: number;
}

export function imageService(
  dependencies: ServiceDependencies,
  errors: ErrorEncoder,
): Methods<ImageServiceHandlers> {
  const { images, imageStore } = dependencies;
  const viewOf = (caller: Caller): VmView => forCaller(dependencies)(caller).vmView;
  /** The caller's restriction, and the tenant that the request is for. */
  const scope = ({ tenant: onlyTenant, behalf }: Caller, tenant: string) => {
    if (onlyTenant !== undefined) requireTenant(tenant, onlyTenant);
    return { ...(behalf === undefined ? {} : { behalf }), onlyTenant, tenant: onlyTenant ?? tenant };
  };
  const usedHereAtMs = usedHere(dependencies);
  return {
    ImportImage: async ({ format, pool, tenant, volume, ...request }, { caller }) => {
      const asked = {
        ...request,
        ...scope(caller, tenant),
        format: specEnums.sourceFormat.fromProto("format", format) ?? (volume === null ? "qcow2" : undefined),
        pool: nonEmpty(pool),
        ...(volume === null ? {} : { volume }),
      };
      return operationToProto(await images.import(asked, caller.name), errors, caller);
    },
    UploadImage: (requests, { caller, signal }) =>
      upload(dependencies, requests, { errors, caller, signal, scope: (tenant) => scope(caller, tenant) }),
    GetImage: ({ image, tenant }, { caller }) => {
      if (image === "") throw invalidField("SPEC_INVALID", "image", "must be an id or a name");
      const found = imageStore.require(image, scope(caller, tenant).tenant);
      return toProto(found, usesOf(viewOf(caller)).get(found.id), usedHereAtMs(caller, found));
    },
    ListImages: (request, context) => listImages(dependencies, viewOf(context.caller), request, context),
    DeleteImage: async ({ tenant, ...request }, { caller }) => {
      if (request.image === "") throw invalidField("SPEC_INVALID", "image", "must be an id or a name");
      return operationToProto(
        await images.delete({ ...request, ...scope(caller, tenant) }, caller.name),
        errors,
        caller,
      );
    },
  };
}

/** The first message has the request; the messages' content is read by the operation. */
async function* upload(
  { images, operations }: ServiceDependencies,
  requests: AsyncIterable<UploadImageRequest__Output>,
  call: {
    readonly errors: ErrorEncoder;
    readonly caller: Caller;
    readonly signal: AbortSignal;
    readonly scope: (tenant: string) => Pick<UploadRequest, "behalf" | "onlyTenant" | "tenant">;
  },
): AsyncGenerator<ProtoOperation, void, undefined> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done === true) throw invalidField("SPEC_INVALID", "name", "must be given in the first message");
  const { content, tenant, format, pool, ...same } = first.value;
  const asked = {
    ...same,
    ...call.scope(tenant),
    format: specEnums.sourceFormat.fromProto("format", format) ?? "qcow2",
    pool: nonEmpty(pool),
  };
  const source = uploadOf(asked.sizeBytes, contentOf(content, messages), systemClock);
  const { operation, forget } = await images.upload(asked, source, call.caller.name);
  try {
    yield operationToProto(operation, call.errors, call.caller);
    let now = operation;
    while (!isDone(now)) now = await operations.wait(operation.id, WAIT_MS, call.signal);
    yield operationToProto(now, call.errors, call.caller);
  } finally {
    forget();
  }
}

async function* contentOf(
  first: Buffer,
  rest: AsyncIterator<UploadImageRequest__Output, unknown>,
): AsyncGenerator<Buffer, void, undefined> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next())
    if (next.value.content.length > 0) yield next.value.content;
}

async function listImages(
  dependencies: ServiceDependencies,
  view: VmView,
  request: ListImagesRequest__Output,
  context: CallContext,
): Promise<ListImagesResponse> {
  const { imageStore } = dependencies;
  const { caller } = context;
  if (caller.tenant !== undefined) requireTenant(request.tenant, caller.tenant);
  const tenant = caller.tenant ?? nonEmpty(request.tenant);
  const query = { tenant };
  const after = afterIdOf(request.pageToken, query);
  const visible = imageStore.all().filter((image) => tenant === undefined || isVisibleTo(tenant, image));
  const keyed = visible.map((image) => ({ image, key: `${image.tenant} ${image.name} ${image.id}` }));
  const rest = keyed
    .filter(({ key }) => after === undefined || key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const uses = usesOf(view);
  const usedHereAtMs = usedHere(dependencies);
  const convert = ({ image }: (typeof rest)[number]): ProtoImage =>
    toProto(image, uses.get(image.id), usedHereAtMs(caller, image));
  const images = await convertPage(rest.slice(0, pageSize(request.pageSize)), convert, context.slice());
  const last = rest[images.length - 1];
  const nextPageToken = last === undefined || images.length === rest.length ? "" : pageToken(last.key, query);
  // The names of pools are the provider's.
  const unreadPools = caller.tenant === undefined ? [...imageStore.unreadPools] : [];
  return { images, nextPageToken, unreadPools };
}

/** When a VM over the image was created last: not for tenants, since it may be another tenant's. */
const usedHere =
  ({ imageStore }: ServiceDependencies) =>
  ({ tenant }: Caller, { id }: Image): number | undefined =>
    tenant === undefined ? imageStore.usedAtMs(id) : undefined;

/** By image. */
function usesOf(view: VmView): ReadonlyMap<string, Use> {
  const uses = new Map<string, Use>();
  for (const { spec, createdAtMs = 0 } of view.all())
    for (const id of spec === undefined ? [] : imagesOf(spec)) {
      const { users, usedAtMs } = uses.get(id) ?? { users: 0, usedAtMs: 0 };
      uses.set(id, { users: users + 1, usedAtMs: Math.max(usedAtMs, createdAtMs) });
    }
  return uses;
}

function toProto(image: Image, use: Use | undefined, usedHereAtMs: number | undefined): ProtoImage {
  const usedAtMs = Math.max(use?.usedAtMs ?? 0, usedHereAtMs ?? 0);
  return defined({
    imageId: image.id,
    name: image.name,
    tenant: image.tenant,
    sha256: image.sha256,
    format: specEnums.diskFormat.toProto(image.format),
    sizeBytes: image.sizeBytes,
    capacityBytes: image.capacityBytes,
    pool: image.pool,
    volume: dataVolume(image).volume,
    createdAt: toTimestamp(image.createdAtMs),
    usedAt: usedAtMs === 0 ? null : toTimestamp(usedAtMs),
    users: use?.users ?? 0,
  });
}
