#pragma once
// Texts that are almost right: true ones, changed at random. The same seed gives the same texts everywhere.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mutations {

class mutator {
public:
    /// `texts` are what is changed, `words` what is thrown in.
    mutator(std::uint64_t seed, std::vector<std::string> texts, std::vector<std::string> words)
        : random_(seed), texts_(std::move(texts)), words_(std::move(words)) {}

    /// The number of the text that the next one is made of.
    std::size_t choose() { return chosen_ = below(texts_.size()); }

    std::string next() {
        auto text = texts_[chosen_];
        for (auto changes = 1 + below(3); changes != 0; --changes) change(text);
        return text;
    }

    // std::uniform_int_distribution may differ between standard libraries.
    std::size_t below(std::size_t end) { return end == 0 ? 0 : static_cast<std::size_t>(random_() % end); }

private:
    void change(std::string& text) {
        const auto at = below(text.size() + 1);
        const auto size = below(1 + below(20));
        switch (below(9)) {
        case 0: text.resize(at); break;
        case 1: text.erase(at, size); break;
        case 2: text.insert(at, text.substr(below(text.size() + 1), size)); break;
        case 3: text.insert(at, words_[below(words_.size())]); break;
        case 4: text.replace(at, std::min(size, text.size() - at), words_[below(words_.size())]); break;
        case 5: text.insert(at, 1, static_cast<char>(below(256))); break;
        case 6: // another text's end
        {
            const auto& other = texts_[below(texts_.size())];
            text = text.substr(0, at) + other.substr(below(other.size() + 1));
            break;
        }
        case 7: if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8))); break;
        default: if (at < text.size()) text[at] = words_[below(words_.size())][0]; break;
        }
    }

    std::mt19937_64 random_;
    std::vector<std::string> texts_;
    std::vector<std::string> words_;
    std::size_t chosen_ = 0;
};

/// For a message of a test: what cannot be printed is told by its number.
inline std::string shown(std::string_view text) {
    constexpr char digits[] = "0123456789abcdef";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '\\') {
            result += c;
        } else {
            result.append("\\x").append(1, digits[byte / 16]).append(1, digits[byte % 16]);
        }
    }
    return result;
}

} // namespace mutations
