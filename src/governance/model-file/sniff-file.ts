/** Files that are often found under the name of an ONNX file, by their first bytes. */
const NOT_ONNX: readonly { readonly starts: Buffer; readonly at?: number; readonly text: string }[] = [
  {
    starts: Buffer.from('version https://git-lfs'),
    text: 'is a Git LFS pointer, not the file: run `git lfs pull`',
  },
  {
    starts: Buffer.from('894844460d0a1a0a', 'hex'),
    text: 'is a Keras (HDF5) file: convert it to ONNX, for instance with tf2onnx',
  },
  {
    starts: Buffer.from('504b0304', 'hex'),
    text: 'is a ZIP archive (PyTorch or Keras 3 checkpoint): export it to ONNX',
  },
  { starts: Buffer.from('8002', 'hex'), text: 'is a Python pickle: export it to ONNX' },
  { starts: Buffer.from('TFL3'), at: 4, text: 'is a TensorFlow Lite file: convert it to ONNX' },
  { starts: Buffer.from('ORTM'), at: 4, text: 'is in the ORT format: give the ONNX file it was made from' },
  { starts: Buffer.from('<'), text: 'is a web page or XML, not a model: download it again' },
];

/** Says why a file cannot be ONNX (a protobuf without a magic number), or null when nothing speaks against it. */
export function sniffFile(bytes: Buffer): string | null {
  if (bytes.length === 0) return 'is empty';
  const known = NOT_ONNX.find(({ starts, at = 0 }) => bytes.subarray(at, at + starts.length).equals(starts));
  return known?.text ?? null;
}
