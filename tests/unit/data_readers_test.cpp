#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <zlib.h>

#include <temblor/base/error.hpp>
#include <temblor/data/byte_file.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/hdf5/file.hpp>

using namespace temblor;
using Catch::Contains;
using temblor::testing::TemporaryDirectory;

namespace {

const InputScaling raw{1.0, {0.0}, {1.0}};

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void put_gz(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

std::string idx_header(std::vector<std::uint32_t> sizes, char type = 8) {
  std::string bytes{'\0', '\0', type, static_cast<char>(sizes.size())};
  for (const auto size : sizes) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes += static_cast<char>((size >> shift) & 255U);
  }
  return bytes;
}

/// Four pictures of 2 x 3, picture i of class i % 2, value 10 i + position.
std::string idx_images() {
  std::string bytes = idx_header({4, 2, 3});
  for (int i = 0; i < 24; ++i) bytes += static_cast<char>(10 * (i / 6) + i % 6);
  return bytes;
}

std::string idx_labels() {
  return idx_header({4}) + std::string{0, 1, 0, 1};
}

std::string cifar_record(char label, char value) {
  return label + std::string(3072, value);
}

Dataset load(const std::string& set, const std::string& directory = "", Split split = Split::test,
             const std::string& select = "all") {
  return load_dataset({set, split, directory, select}, raw);
}

/// The message of the refusal, which must be a bad-input error.
std::string refusal(const std::string& set, const std::string& directory = "") {
  try {
    load(set, directory);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::bad_input);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("IDX: pictures and labels, plain and gz, by directory and by file") {
  const TemporaryDirectory directory;
  const bool gz = GENERATE(false, true);
  const auto write = gz ? put_gz : put;
  const std::string end = gz ? ".gz" : "";
  write(directory.file("t10k-images-idx3-ubyte" + end), idx_images());
  write(directory.file("t10k-labels-idx1-ubyte" + end), idx_labels());
  for (const auto& data : {load("fashion-mnist", directory.path()), load("idx:" + directory.path()),
                           load(directory.path()), load(directory.file("t10k-images-idx3-ubyte" + end))}) {
    CHECK(data.shape == Shape{{1, 2, 3}});
    CHECK(data.labels == std::vector<std::int32_t>{0, 1, 0, 1});
    CHECK(data.index == std::vector<std::int64_t>{0, 1, 2, 3});
    CHECK(data.images(2, 4) == 24);
    CHECK(data.files.size() == 2);
  }
  CHECK(load("fashion-mnist", directory.path()).classes == 10);
  CHECK(load("idx:" + directory.path()).classes == 2);
  CHECK_THROWS_AS(load("mnist", directory.path(), Split::train), Error);
}

TEST_CASE("IDX: what is wrong is named") {
  const TemporaryDirectory directory;
  const auto images = directory.file("t10k-images-idx3-ubyte");
  const auto labels = directory.file("t10k-labels-idx1-ubyte");
  const auto refused = [&](const std::string& image_bytes, const std::string& label_bytes) {
    put(images, image_bytes);
    put(labels, label_bytes);
    return refusal("fashion-mnist", directory.path());
  };
  CHECK(refused(idx_images(), idx_labels()) == "accepted");
  CHECK_THAT(refused(idx_images().substr(1), idx_labels()), Contains(images) && Contains("wrong magic"));
  CHECK_THAT(refused("", idx_labels()), Contains(images) && Contains("header"));
  CHECK_THAT(refused(idx_header({4, 2, 3}, 13) + std::string(96, 'x'), idx_labels()),
             Contains("element type 13"));
  CHECK_THAT(refused(idx_labels(), idx_labels()), Contains(images) && Contains("dimensions"));
  CHECK_THAT(refused(idx_images(), idx_images()), Contains(labels) && Contains("dimensions"));
  CHECK_THAT(refused(idx_header({4, 0, 3}), idx_labels()), Contains("dimension 1 is 0"));
  CHECK_THAT(refused(idx_header({0xffffffff, 0xffffffff, 0xffffffff}), idx_labels()),
             Contains("claims more"));
  CHECK_THAT(refused(idx_header({4000, 2, 3}) + std::string(24, 'x'), idx_labels()), Contains("claims more"));
  CHECK_THAT(refused(idx_images().substr(0, 30), idx_labels()), Contains(images));
  CHECK_THAT(refused(idx_images() + "x", idx_labels()), Contains(images) && Contains("more bytes"));
  CHECK_THAT(refused(idx_images(), idx_header({3}) + std::string(3, '\0')),
             Contains("4 images") && Contains("3 labels"));
  CHECK_THAT(refused(idx_images(), idx_labels() + "x"), Contains(labels));
  CHECK_THAT(refused(idx_images(), idx_header({4}) + std::string{0, 1, 10, 1}),
             Contains("label 10 of image 2"));
  put(directory.file("lonely-images-idx3-ubyte"), idx_images());
  CHECK_THAT(refusal(directory.file("lonely-images-idx3-ubyte")), Contains("no labels beside it"));
}

TEST_CASE("a gz file cut anywhere is refused, naming the file") {
  const TemporaryDirectory directory;
  const auto images = directory.file("t10k-images-idx3-ubyte.gz");
  put(directory.file("t10k-labels-idx1-ubyte"), idx_labels());
  put_gz(images, idx_images());
  std::string whole(std::filesystem::file_size(images), '\0');
  std::ifstream(images, std::ios::binary).read(whole.data(), static_cast<std::streamsize>(whole.size()));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    put(images, whole.substr(0, size));
    CHECK_THAT(refusal("idx:" + directory.path()), Contains(images));
  }
  std::string bent = whole;
  bent[bent.size() - 6] ^= 1;  // the checksum
  put(images, bent);
  CHECK_THAT(refusal("idx:" + directory.path()), Contains(images));
  put(images, whole);
  CHECK(load("idx:" + directory.path()).size() == 4);
}

TEST_CASE("CIFAR-10: batches in order, planes as they are, gz or not") {
  const TemporaryDirectory directory;
  for (int i = 1; i <= 5; ++i) {
    const auto name = directory.file("data_batch_" + std::to_string(i) + ".bin");
    const auto bytes = cifar_record(static_cast<char>(i), static_cast<char>(10 * i));
    if (i == 3) {
      put_gz(name + ".gz", bytes);
    } else {
      put(name, bytes);
    }
  }
  const Dataset data = load("cifar10", directory.path(), Split::train);
  CHECK(data.shape == Shape{{3, 32, 32}});
  CHECK(data.labels == std::vector<std::int32_t>{1, 2, 3, 4, 5});
  CHECK(data.images(2, 3071) == 30);
  CHECK_THROWS_AS(load("cifar10", directory.path(), Split::test), Error);
  CHECK(load(directory.path(), "", Split::train).size() == 5);
  CHECK(load(directory.file("data_batch_2.bin")).labels.front() == 2);

  const auto test = directory.file("test_batch.bin");
  put(test, cifar_record(1, 1) + cifar_record(10, 1));
  CHECK_THAT(refusal("cifar10", directory.path()), Contains(test) && Contains("label 10"));
  put(test, cifar_record(1, 1) + "x");
  CHECK_THAT(refusal("cifar10", directory.path()), Contains(test) && Contains("3073"));
  put(test, "");
  CHECK_THAT(refusal("cifar10", directory.path()), Contains(test));
  std::filesystem::remove(directory.file("data_batch_4.bin"));
  CHECK_THROWS_AS(load("cifar10", directory.path(), Split::train), Error);
}

TEST_CASE("CSV: label first, or in the column of that name") {
  const TemporaryDirectory directory;
  const auto path = directory.file("points.csv");
  for (const std::string text :
       {"1,0.5,-2\n0,3e1,4\n", "x,Label,y\r\n0.5,1,-2\r\n30,0,4\r\n", "label,a,b\n1,0.5,-2\n0,30,4",
        "1 , 0.5,\t-2\n0,30,4\n\n\n", "\xEF\xBB\xBF\"a\",\"b\",\"label\"\n0.5,-2,1\n30,4,0\n"}) {
    put(path, text);
    const Dataset data = load(path);
    CHECK(data.labels == std::vector<std::int32_t>{1, 0});
    CHECK(data.images == (Matrix(2, 2) << 0.5F, -2, 30, 4).finished());
    CHECK(data.shape == Shape{{2}});
    CHECK(data.classes == 2);
  }
  put_gz(directory.file("points.csv.gz"), "0,1\n1,2\n");
  CHECK(load(directory.file("points.csv.gz")).size() == 2);
  put(directory.file("points.txt"), "0,1\n1,2\n");
  CHECK(load("csv:" + directory.file("points.txt")).size() == 2);
  CHECK_THAT(refusal(directory.file("points.txt")), Contains("csv:"));
}

TEST_CASE("CSV: errors name the line and the column") {
  const TemporaryDirectory directory;
  const auto path = directory.file("points.csv");
  const auto refused = [&](const std::string& text) {
    put(path, text);
    const auto message = refusal(path);
    CHECK_THAT(message, Contains(path));
    return message;
  };
  CHECK_THAT(refused("0,1\n1,x\n"), Contains("line 2") && Contains("column 2, 'x'"));
  CHECK_THAT(refused("0,1\n1,nan\n"), Contains("line 2"));
  CHECK_THAT(refused("0,1\n1,inf\n"), Contains("line 2"));
  CHECK_THAT(refused("0,1\n1,1e99\n"), Contains("line 2"));
  CHECK_THAT(refused("0,1\n1,\n"), Contains("line 2"));
  CHECK_THAT(refused("0,1\n1,2,3\n"),
             Contains("line 2") && Contains("3 columns") && Contains("line 1 has 2"));
  CHECK_THAT(refused("0,1\n\n1,2\n"), Contains("line 2") && Contains("empty"));
  CHECK_THAT(refused("0,1\n-1,2\n"), Contains("line 2") && Contains("no label"));
  CHECK_THAT(refused("0,1\n1.5,2\n"), Contains("line 2") && Contains("no label"));
  CHECK_THAT(refused("0,1\n2000000000,2\n"), Contains("no label"));
  CHECK_THAT(refused("a,b\n1,2\n"), Contains("line 1") && Contains("0 columns 'label'"));
  CHECK_THAT(refused("label,label\n1,2\n"), Contains("2 columns 'label'"));
  CHECK_THAT(refused("1\n2\n"), Contains("one column"));
  CHECK_THAT(refused(""), Contains("no images"));
  CHECK_THAT(refused("label,a\n"), Contains("no images"));
}

TEST_CASE("HDF5 data: in the root or by split; wrong ones named") {
  const TemporaryDirectory directory;
  const auto path = directory.file("points.h5");
  const std::vector<std::uint8_t> pictures{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<std::int64_t> labels{0, 2};
  {
    const hdf5::File file = hdf5::File::create(path);
    file.write<std::uint8_t>("images", pictures, {2, 2, 3});
    file.write<std::int64_t>("labels", labels, {2});
    file.write<std::uint8_t>("train/images", pictures, {4, 3});
    file.write<std::int64_t>("train/labels", std::vector<std::int64_t>{1, 0, 1, 0}, {4});
  }
  const Dataset test = load(path);
  CHECK(test.shape == Shape{{1, 2, 3}});
  CHECK(test.classes == 3);
  CHECK(test.images(1, 5) == 12);
  CHECK(load(path, "", Split::train).shape == Shape{{3}});

  const auto refused = [&](auto&& write) {
    {
      const hdf5::File file = hdf5::File::create(path);
      write(file);
    }
    return refusal(path);
  };
  const std::vector<float> wrong{1, NAN};
  CHECK_THAT(refused([&](const auto& f) { f.template write<std::int64_t>("labels", labels, {2}); }),
             Contains("/images"));
  CHECK_THAT(refused([&](const auto& f) {
               f.template write<float>("images", wrong, {2, 1});
               f.template write<std::int64_t>("labels", labels, {2});
             }),
             Contains("image 1 has a value nan"));
  CHECK_THAT(refused([&](const auto& f) {
               f.template write<float>("images", wrong, {1, 2});
               f.template write<std::int64_t>("labels", labels, {2});
             }),
             Contains("/labels"));
  CHECK_THAT(refused([&](const auto& f) {
               f.template write<float>("images", wrong, {2});
               f.template write<std::int64_t>("labels", labels, {2});
             }),
             Contains("1 dimensions"));
  CHECK_THAT(refused([&](const auto& f) {
               f.template write<std::uint8_t>("images", pictures, {2, 6});
               f.template write<std::int64_t>("labels", std::vector<std::int64_t>{0, 1LL << 40}, {2});
             }),
             Contains("/labels") && Contains("out of range"));
  CHECK_THAT(refused([&](const auto& f) {
               f.template write<std::uint8_t>("images", pictures, {2, 6});
               f.template write<std::int64_t>("labels", std::vector<std::int64_t>{0, -3}, {2});
             }),
             Contains("label -3 of image 1"));
}

TEST_CASE("synthetic data: a function of its name, separable, splits differ") {
  const std::string name = "synthetic:classes=3,features=8,n=200,seed=1";
  const Dataset data = load(name);
  CHECK(data.id == load(name).id);
  CHECK(data.size() == 200);
  CHECK(data.classes == 3);
  CHECK(load("synthetic").id == data.id);  // its defaults
  CHECK(load("synthetic:seed=2").id != data.id);
  CHECK(load(name, "", Split::train).id != data.id);
  const Dataset more = load("synthetic:n=300");
  CHECK(more.images.topRows(200) == data.images);
  const Dataset still = load("synthetic:noise=0,n=6");
  CHECK(still.images.row(0) == still.images.row(3));
  CHECK_FALSE(still.images.row(0) == still.images.row(1));
  CHECK_THROWS_WITH(load("synthetic:clases=3"), Contains("did you mean 'classes'?"));
  CHECK_THROWS_AS(load("synthetic:n=0"), Error);
  CHECK_THROWS_AS(load("synthetic:n"), Error);
  CHECK_THROWS_AS(load("synthetic:n=5,n=6"), Error);
  CHECK_THROWS_AS(load("synthetic:n=10000000,features=1000000"), Error);
}

TEST_CASE("a named set that is missing: places and package are listed") {
  const TemporaryDirectory directory;
  CHECK_THAT(refusal("fashion-mnist", directory.path()), Contains(directory.path() + "/fashion-mnist") &&
                                                             Contains("dataset-fashion-mnist") &&
                                                             Contains("--data-dir"));
  CHECK_THAT(refusal("mnist", directory.path()), Contains("test split"));
  CHECK_THROWS_WITH(load("fashion-minst"), Contains("did you mean 'fashion-mnist'?"));
  CHECK_THROWS_WITH(load("csv"), Contains("csv:PATH"));
  CHECK_THAT(refusal("csv:" + directory.file("none.csv")), Contains("no such file"));
  CHECK_THAT(refusal(directory.path()), Contains("no data in the directory"));
}

TEST_CASE("one set is not taken for another of the same file names") {
  const TemporaryDirectory directory;
  for (const std::string name : {"fashion-mnist", "mnist"}) {
    std::filesystem::create_directory(directory.file(name));
    put(directory.file(name + "/t10k-images-idx3-ubyte"), idx_images());
    put(directory.file(name + "/t10k-labels-idx1-ubyte"), idx_labels());
  }
  CHECK(load("mnist", directory.path()).files.front() == directory.file("mnist/t10k-images-idx3-ubyte"));
  CHECK(load("mnist", directory.file("mnist")).size() == 4);
  CHECK_THAT(refusal("mnist", directory.file("fashion-mnist")), Contains("is not there"));
}

TEST_CASE("the environment names a directory; the flag comes first") {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.file("mnist"));
  put(directory.file("mnist/t10k-images-idx3-ubyte"), idx_images());
  put(directory.file("mnist/t10k-labels-idx1-ubyte"), idx_labels());
  ::setenv("TEMBLOR_DATA", directory.path().c_str(), 1);
  CHECK(load("mnist").size() == 4);
  CHECK_THAT(refusal("mnist", directory.file("elsewhere")), Contains("elsewhere"));
  ::unsetenv("TEMBLOR_DATA");
}

TEST_CASE("Fashion-MNIST: 10,000 test pictures, 1,000 a class") {
  Dataset data;
  try {
    data = load("fashion-mnist");
  } catch (const Error& error) {
    std::cout << "skipped: " << error.what() << '\n';
    return;
  }
  CHECK(data.size() == 10000);
  CHECK(data.shape == Shape{{1, 28, 28}});
  std::array<int, 10> count{};
  for (const auto label : data.labels) ++count[static_cast<std::size_t>(label)];
  for (const int n : count) CHECK(n == 1000);
  CHECK(data.images.maxCoeff() == 255);
  CHECK(data.images.minCoeff() == 0);
}
