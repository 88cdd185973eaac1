// The sections of a sweep's page, as HTML.
#pragma once

#include <string>
#include <string_view>

#include "l2c/sweep/record.h"

namespace l2c {

std::string page_style();
std::string section(std::string_view id, std::string_view heading, const std::string& body);

std::string recommendations_html(const SweepRecord& record);
std::string charts_html(const SweepRecord& record);
std::string table_html(const SweepRecord& record);
std::string pictures_html(const SweepRecord& record);
std::string heat_maps_html(const SweepRecord& record);
std::string commands_html(const SweepRecord& record);
std::string facts_html(const SweepRecord& record);

}  // namespace l2c
