/** One matrix as `torch.save` writes it: a stored zip of `data.pkl`, `byteorder`, `data/0` and `version`. */

import { InputError } from '../errors.js'
import { bfloatToFloat, floatToBfloat, floatToHalf, halfToFloat } from './half.js'
import { isKind, type PickleValue, readPickle } from './pickle.js'
import { readStoredZip, writeStoredZip } from './zip.js'

export type TorchType = 'float16' | 'bfloat16' | 'float32'

export interface TorchMatrix {
  rows: number
  columns: number
  dtype: TorchType
  /** (rows, columns), contiguous */
  values: Float32Array
}

const storages = {
  float16: { name: 'torch.HalfStorage', bytes: 2 },
  bfloat16: { name: 'torch.BFloat16Storage', bytes: 2 },
  float32: { name: 'torch.FloatStorage', bytes: 4 },
} as const satisfies Record<TorchType, { name: string; bytes: number }>

const rebuild = 'torch._utils._rebuild_tensor_v2'
const hooks = 'collections.OrderedDict'
const globals: ReadonlySet<string> = new Set([
  rebuild,
  hooks,
  ...Object.values(storages).map((storage) => storage.name),
])

/** Larger than any head-score tensor; keeps sizes that a file claims from meaning anything. */
const mostSide = 65_536

/**
 * @returns also the entries of the archive beside torch's own, by name
 * @throws InputError for anything but one dense matrix of fp16, bf16 or fp32
 */
export function readTorchMatrix(
  bytes: Uint8Array,
  where: string,
): TorchMatrix & { others: Map<string, Uint8Array> } {
  const entries = readStoredZip(bytes, where)
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickles.length !== 1) throw new InputError(`${where} is not a file of torch.save: it lacks data.pkl`)
  const root = pickles[0]!.slice(0, -'data.pkl'.length)
  const byteOrder = entries.get(`${root}byteorder`)
  if (byteOrder && Buffer.from(byteOrder).toString('latin1') !== 'little')
    throw new InputError(
      `${where} was saved on a machine of another byte order; save it on a little-endian one`,
    )

  const { key, dtype, elements, offset, rows, columns, rowStride, columnStride } = describe(
    readPickle(entries.get(pickles[0]!)!, globals, where),
    where,
  )
  const storage = entries.get(`${root}data/${key}`)
  const { bytes: width } = storages[dtype]
  if (!storage || storage.length !== elements * width)
    throw new InputError(
      `${where} has ${storage?.length ?? 'no'} bytes of data for ${elements} values of ${dtype}`,
    )
  if (offset + (rows - 1) * rowStride + (columns - 1) * columnStride >= elements || rows * columns > elements)
    throw new InputError(
      `${where} has a tensor of ${rows} x ${columns} that reaches past its ${elements} values`,
    )

  const view = new DataView(storage.buffer, storage.byteOffset, storage.byteLength)
  const values = new Float32Array(rows * columns)
  for (let i = 0; i < values.length; i++) {
    const element = offset + Math.floor(i / columns) * rowStride + (i % columns) * columnStride
    values[i] = readElement(view, element * width, dtype)
  }
  const others = [...entries].map(([name, entry]) => [name.slice(root.length), entry] as const)
  return { rows, columns, dtype, values, others: new Map(others) }
}

interface Description {
  key: string
  dtype: TorchType
  elements: number
  offset: number
  rows: number
  columns: number
  rowStride: number
  columnStride: number
}

/** `_rebuild_tensor_v2(('storage', FloatStorage, '0', 'cpu', n), offset, size, stride, grad, hooks)` */
function describe(pickled: PickleValue, where: string): Description {
  const wrong = (what: string) =>
    new InputError(`${where} does not hold one (layers, kv_heads) tensor: ${what}`)
  if (!isKind(pickled, 'call') || pickled.callee !== rebuild) throw wrong('it holds something else')
  const [storage, offset, size, stride] = pickled.args
  if (!isKind(storage, 'persistent') || !isKind(storage.id, 'tuple')) throw wrong('it has no storage')
  const [tag, type, key, , elements] = storage.id.items
  if (tag !== 'storage' || !isKind(type, 'global') || typeof key !== 'string')
    throw wrong('its storage is unclear')
  const dtype = (Object.keys(storages) as TorchType[]).find((name) => storages[name].name === type.name)
  if (!dtype) throw wrong(`its storage is ${type.name}`)
  const [rows, columns, ...moreSizes] = integers(size)
  const [rowStride, columnStride] = integers(stride)
  if (rows === undefined || columns === undefined || moreSizes.length > 0)
    throw wrong('it has not two dimensions')
  if (rows < 1 || columns < 1 || rows > mostSide || columns > mostSide)
    throw wrong(`it is ${rows} x ${columns}`)
  const [start, count] = [integer(offset), integer(elements)]
  if (start === null || count === null || rowStride === undefined || columnStride === undefined)
    throw wrong('its layout is unclear')
  return { key, dtype, elements: count, offset: start, rows, columns, rowStride, columnStride }
}

function integer(value: PickleValue | undefined): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : null
}

function integers(value: PickleValue | undefined): number[] {
  return isKind(value, 'tuple') ? value.items.map(integer).filter((item) => item !== null) : []
}

function readElement(view: DataView, at: number, dtype: TorchType): number {
  if (dtype === 'float32') return view.getFloat32(at, true)
  const bits = view.getUint16(at, true)
  return dtype === 'float16' ? halfToFloat(bits) : bfloatToFloat(bits)
}

/**
 * @param archive the zip's inner folder, by torch's habit the file's name without `.pt`
 * @param more entries that torch passes over
 */
export function writeTorchMatrix(
  matrix: TorchMatrix,
  archive: string,
  more: readonly (readonly [name: string, bytes: Uint8Array])[] = [],
): Uint8Array {
  const text = (content: string) => Buffer.from(content, 'latin1')
  return writeStoredZip([
    [`${archive}/data.pkl`, pickleMatrix(matrix)],
    [`${archive}/byteorder`, text('little')],
    [`${archive}/data/0`, storageBytes(matrix)],
    [`${archive}/version`, text('3\n')],
    ...more.map(([name, bytes]) => [`${archive}/${name}`, bytes] as const),
  ])
}

function pickleMatrix({ rows, columns, dtype }: TorchMatrix): Uint8Array {
  const bytes = (...values: number[]) => Buffer.from(values)
  const global = (name: string) => {
    const dot = name.lastIndexOf('.')
    return Buffer.from(`c${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`, 'latin1')
  }
  const sized = (opcode: string, value: number) => {
    const data = Buffer.alloc(5, opcode, 'latin1')
    data.writeUInt32LE(value, 1)
    return data
  }
  const text = (content: string) =>
    Buffer.concat([sized('X', content.length), Buffer.from(content, 'latin1')])
  const integerOf = (value: number) => sized('J', value)
  return Buffer.concat([
    bytes(0x80, 2), // PROTO 2
    global(rebuild),
    Buffer.from('(('), // MARK of the call's arguments, MARK of the storage's name
    text('storage'),
    global(storages[dtype].name),
    text('0'),
    text('cpu'),
    integerOf(rows * columns),
    Buffer.from('tQ'), // TUPLE, BINPERSID
    integerOf(0),
    integerOf(rows),
    integerOf(columns),
    bytes(0x86), // TUPLE2: size
    integerOf(columns),
    integerOf(1),
    bytes(0x86, 0x89), // TUPLE2: stride; NEWFALSE: requires_grad
    global(hooks),
    Buffer.from(')RtR.'), // EMPTY_TUPLE, REDUCE: OrderedDict(); TUPLE, REDUCE: the tensor; STOP
  ])
}

function storageBytes({ dtype, values }: TorchMatrix): Uint8Array {
  const { bytes: width } = storages[dtype]
  const bytes = Buffer.alloc(values.length * width)
  for (const [i, value] of values.entries()) {
    if (dtype === 'float32') bytes.writeFloatLE(value, i * width)
    else bytes.writeUInt16LE(dtype === 'float16' ? floatToHalf(value) : floatToBfloat(value), i * width)
  }
  return bytes
}
