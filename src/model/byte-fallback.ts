/** Tokens such as <0xE4> stand for bytes: how runs of them become text. */

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * As Rust's tokenizers do it: a run that is not valid UTF-8 becomes one U+FFFD a byte, all of it. The library reads
 * what it can of the run, and swallows a byte order mark.
 * @param decoder of the library, whose own types do not resolve here
 */
export function mendByteFallback(decoder: unknown): void {
  // Its decoders can be called, so they are functions to JavaScript.
  if (typeof decoder !== 'function') return
  const { decoders, config } = decoder as { decoders?: unknown[]; config?: { type?: string } }
  decoders?.forEach(mendByteFallback)
  if (config?.type === 'ByteFallback') Object.assign(decoder, { text_decoder: new RunDecoder() })
}

class RunDecoder extends TextDecoder {
  override decode(bytes: Uint8Array): string {
    try {
      return strict.decode(bytes)
    } catch {
      return '\ufffd'.repeat(bytes.length)
    }
  }
}
