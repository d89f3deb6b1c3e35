// SPDX-License-Identifier: Apache-2.0
#include "ch/http.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <sstream>

#include "lib/base/text.hpp"

namespace husk::ch {
namespace {

namespace http = boost::beast::http;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;
using RequestParser = http::request_parser<http::string_body>;
using ResponseParser = http::response_parser<http::string_body>;
using boost::beast::error_code;

constexpr const char* vm_create_path = "/api/v1/vm.create";
constexpr int http_1_1 = 11;

/// Receives up to the buffer's size; 0 at end of file. What a process sent before its end still counts.
std::size_t receive_some(int socket, std::span<char> buffer, int gone_fd,
                         const Deadline& deadline) {
  bool is_gone = false;
  for (;;) {
    // A peer that sends a byte now and then must not stretch the time.
    if (deadline.passed()) throw Error(Errc::timed_out, "not complete in time");
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EAGAIN && errno != EINTR)
      throw Error(Errc::peer_lost, "receive: " + errno_text(errno), errno);
    if (is_gone) return 0;
    is_gone = await(socket, POLLIN, gone_fd, deadline) == Readiness::gone;
  }
}

/// Feeds the parser until the message is whole. Calls `on_header` once, before the body. Returns what came behind.
template <class Parser>
std::string receive_message(Parser& parser, int socket, int gone_fd, const Deadline& deadline,
                            const std::function<void()>& on_header) {
  parser.header_limit(max_header_bytes);
  parser.body_limit(max_body_bytes);
  std::string unread;
  std::array<char, 4096> chunk{};
  bool had_header = false;
  while (!parser.is_done()) {
    const std::size_t got = receive_some(socket, chunk, gone_fd, deadline);
    error_code error;
    if (got == 0) {
      if (parser.got_some()) parser.put_eof(error);  // its condition
      if (error || !parser.got_some()) throw Error(Errc::peer_lost, "closed the connection");
      break;
    }
    unread.append(chunk.data(), got);
    // The parser stops at the header's end, so that it is judged before the body.
    do {
      unread.erase(0, parser.put(boost::asio::buffer(unread), error));
      if (parser.is_header_done() && !had_header) {
        had_header = true;
        on_header();
      }
    } while (!error && !parser.is_done() && !unread.empty());
    if (error && error != http::error::need_more) throw boost::system::system_error(error);
  }
  return unread;
}

unsigned status_of(const error_code& error) {
  if (error == http::error::header_limit) return 431;
  return error == http::error::body_limit ? 413 : 400;
}

std::string text_of(const error_code& error) {
  if (error == http::error::header_limit)
    return "headers of more than " + std::to_string(max_header_bytes) + " bytes";
  if (error == http::error::body_limit)
    return "a body of more than " + std::to_string(max_body_bytes) + " bytes";
  return "not HTTP: " + error.message();
}

[[noreturn]] void refuse_request(unsigned status, const std::string& text) {
  throw Refusal(status, Error(Errc::invalid_argument, "request: " + text));
}

void check_header(const Request& request) {
  const std::string target(request.target());
  if (target != vm_create_path)
    refuse_request(404, "the first request has to be " + std::string(vm_create_path) + ", not " +
                            quote(target));
  if (request.method() != http::verb::put)
    refuse_request(400,
                   "the method has to be PUT, not " + quote(std::string(request.method_string())));
}

/// curl waits a second for this answer before it sends a large body.
void answer_expectation(int connection, const Request& request, const Deadline& deadline) {
  if (boost::beast::iequals(request[http::field::expect], "100-continue"))
    send_before(connection, "HTTP/1.1 100 Continue\r\n\r\n", deadline);
}

/// `length`: for Content-Length, which an answer without content must not have (RFC 9110, 8.6).
template <class Message>
std::string serialise(Message& message, std::optional<std::size_t> length) {
  if (length) message.content_length(*length);
  std::ostringstream text;
  text << message;
  return text.str();
}

}  // namespace

std::string receive_vm_create(int connection, const Deadline& deadline) {
  RequestParser parser;
  std::string unread;
  try {
    unread = receive_message(parser, connection, -1, deadline, [&] {
      check_header(parser.get());
      answer_expectation(connection, parser.get(), deadline);
    });
  } catch (const boost::system::system_error& e) {
    refuse_request(status_of(e.code()), text_of(e.code()));
  } catch (const Refusal&) {
    throw;
  } catch (const Error& e) {
    throw Refusal(e.code() == Errc::timed_out ? 408 : 400, e.within("request"));
  }
  if (!unread.empty()) refuse_request(400, "more bytes than one request has");
  return std::move(parser.get().body());
}

std::string vm_create_request(const std::string& body) {
  Request request(http::verb::put, vm_create_path, http_1_1);
  request.set(http::field::host, "localhost");
  request.set(http::field::accept, "application/json");
  request.set(http::field::content_type, "application/json");
  request.body() = body;
  return serialise(request, body.size());
}

Answer receive_answer(int connection, int gone_fd, const Deadline& deadline) {
  ResponseParser parser;
  try {
    receive_message(parser, connection, gone_fd, deadline, [] {});
  } catch (const boost::system::system_error& e) {
    throw Error(Errc::invalid_argument, "answer: " + text_of(e.code()));
  } catch (const Error& e) {
    throw e.within("answer");
  }
  return {.status = parser.get().result_int(), .body = std::move(parser.get().body())};
}

Answer error_answer(unsigned status, const std::string& text) {
  const nlohmann::json texts = nlohmann::json::array({text});
  return {.status = status,
          .body = texts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

std::string to_text(const Answer& answer) {
  Response response(http::status::ok, http_1_1);
  response.result(answer.status);
  response.set(http::field::connection, "close");
  if (!answer.body.empty()) response.set(http::field::content_type, "application/json");
  response.body() = answer.body;
  if (response.result() == http::status::no_content) return serialise(response, std::nullopt);
  return serialise(response, answer.body.size());
}

}  // namespace husk::ch
