// SPDX-License-Identifier: Apache-2.0
// The stand-in for Cloud Hypervisor refuses what v53 refuses: a test that passes with it would pass with v53.
#include <catch2/catch_test_macros.hpp>

#include "ch/http.hpp"
#include "test/ch/played_libvirt.hpp"

using namespace husk;
using namespace husk::test;
using nlohmann::json;

namespace {

/// The stand-in without husk-ch before it.
class StandIn {
 public:
  StandIn() : libvirt_(HUSK_CH_STAND_IN) {
    libvirt_.start_with([] {
      const std::string fd = "fd=" + std::to_string(PlayedLibvirt::api_fd);
      ::execl(HUSK_CH_STAND_IN, HUSK_CH_STAND_IN, "--api-socket", fd.c_str(), nullptr);
    });
    connection_ = libvirt_.connect();
  }

  /// "STATUS BODY", all on one connection.
  std::string ask(const std::string& line, const std::string& with = "") const {
    send_before(connection_.get(), http_request(line, with), Deadline(5s));
    const ch::Answer answer = ch::receive_answer(connection_.get(), -1, Deadline(10s));
    return std::to_string(answer.status) + " " + answer.body;
  }
  std::string put(const std::string& name, const std::string& with = "") const {
    return ask("PUT /api/v1/" + name, with);
  }
  /// What vm.boot answers for this configuration.
  std::string boot(const json& config) const {
    CHECK(put("vm.create", config.dump()) == "204 ");
    std::string answer = put("vm.boot");
    CHECK(put("vm.delete") == "204 ");
    return answer;
  }
  std::string folder() const { return libvirt_.folder; }

 private:
  PlayedLibvirt libvirt_;
  UniqueFd connection_;
};

json small_config() {
  return {{"memory", {{"size", 1u << 28}, {"shared", true}}}, {"payload", {{"kernel", "/k"}}}};
}

std::string not_booted(const std::string& why) {
  return "500 " + json{"Error from API", "The VM could not boot", why}.dump();
}

/// Python's json has a space after each comma.
std::string without_spaces(std::string text) {
  for (std::size_t at = 0; (at = text.find("\", \"", at)) != std::string::npos;)
    text.erase(at + 2, 1);
  return text;
}

}  // namespace

TEST_CASE("stand-in: requests in the wrong state or form get v53's status") {
  const StandIn program;
  CHECK(without_spaces(program.ask("GET /api/v1/vm.info")) ==
        R"(404 ["Error from API","The VM info is not available","VM is not created"])");
  CHECK(without_spaces(program.put("vm.shutdown")) ==
        R"(500 ["Error from API","The VM could not shutdown","VM is not running"])");
  CHECK(program.put("vm.unknown") == "404 [\"Not Found\"]");
  CHECK(program.put("vm.boot", "{}") == "400 [\"Bad Request\"]");
  CHECK(program.ask("GET /api/v1/vm.create") == "400 [\"Bad Request\"]");
  CHECK(program.put("vm.create", "{").starts_with("400 [\"Failed to deserialize JSON\","));
  CHECK(program.put("vm.create", small_config().dump()) == "204 ");
  CHECK(without_spaces(program.put("vm.create", small_config().dump())) ==
        R"(500 ["Error from API","The VM could not be created","VM is already created"])");
}

TEST_CASE("stand-in: a configuration is judged at boot, as v53 does") {
  const StandIn program;
  json config = small_config();
  config["fs"] = {{{"tag", "husk"}, {"socket", program.folder() + "/fs"}}};
  CHECK(without_spaces(program.boot(config)) ==
        not_booted("Cannot connect to the vhost-user socket " + program.folder() + "/fs"));
  config["memory"]["shared"] = false;
  CHECK(without_spaces(program.boot(config)) ==
        not_booted("Using vhost-user requires using shared memory or huge pages"));
  config = small_config();
  config["vsock"] = {{"cid", 2}, {"socket", program.folder() + "/vsock"}};
  CHECK(without_spaces(program.boot(config)) == not_booted("CID 2 is reserved"));
}

TEST_CASE("stand-in: libvirt 9.0's kernel is dropped without a word, and missed at boot") {
  const StandIn program;
  json config = small_config();
  config.erase("payload");
  config["kernel"] = {{"path", "/k"}};
  CHECK(without_spaces(program.boot(config)) == not_booted("No kernel in the payload"));
}
