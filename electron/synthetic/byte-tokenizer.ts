/** A tokenizer of bytes for checkpoints that are made here: one token per byte, in the format of Hugging Face's tokenizers. */

const SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>"];
export const PAD_TOKEN_ID = 0;
export const START_TOKEN_ID = 1;
export const END_TOKEN_ID = 2;
/** The fewest tokens of a vocabulary: the special ones, then a token for each byte. */
export const BYTE_VOCABULARY = SPECIAL_TOKENS.length + 256;

const [pad_token, bos_token, eos_token] = SPECIAL_TOKENS;
/** What tokenizer_config.json says. */
export const TOKENIZER_SETTINGS = { tokenizer_class: "PreTrainedTokenizerFast", pad_token, bos_token, eos_token };

/**
 * What tokenizer.json says.
 * @param vocabulary of the model; what it has beyond bytes is text too, `[300]`, so that whatever it says can be shown.
 */
export function byteTokenizer(vocabulary: number): object {
  const fillers = Array.from({ length: vocabulary - BYTE_VOCABULARY }, (_, index) => `[${BYTE_VOCABULARY + index}]`);
  const tokens = [...SPECIAL_TOKENS, ...byteCharacters(), ...fillers];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab, merges: [] },
  };
}

/** The printable character that stands for each byte, as GPT-2's byte-level tokenizer chose them. */
function byteCharacters(): readonly string[] {
  const isPrintable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : 256 + others++));
}
