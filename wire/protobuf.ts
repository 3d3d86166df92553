// protobuf.js as the generated codecs use it: 64-bit integers are JavaScript numbers, exact below 2^53.
import protobuf from 'protobufjs/minimal.js'

protobuf.util.Long = null as never
protobuf.configure()

export default protobuf
