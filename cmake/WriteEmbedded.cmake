# Writes SOURCE: the bytes of FILE as engram::embedded::NAME. Run by engram_embed's command.
file(READ "${FILE}" digits HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${digits}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE "${SOURCE}" "#include <string_view>

namespace engram::embedded {

namespace {
constexpr unsigned char ${NAME}_bytes[] = {
${bytes}0};
}

extern const std::string_view ${NAME};
const std::string_view ${NAME}{reinterpret_cast<const char*>(${NAME}_bytes), sizeof ${NAME}_bytes - 1};

} // namespace engram::embedded
")
